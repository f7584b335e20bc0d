"""Check the Host header of requests, against DNS rebinding.

A page of another site can let its own name point to this computer, and then read what is served
here as if it came from that site. The Host header of its requests is that name, never an address.
"""

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wrappers import Response

from pipeline.errors import UsageError

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/@\[\]]+)(?::[0-9]{1,5})?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True)
class HostNames:
    """Hosts by which a server is called: `host in names`, where `host` is as of a Host header.

    `names`: in lower case. Of IP addresses, loopback ones belong to it, and with `any_address` all.
    """

    names: frozenset[str]
    any_address: bool = False

    @classmethod
    def of_server(cls, host: str, address: str, proxy: str | None = None) -> "HostNames":
        """Return the names of a server that listens at `address`, which the user called `host`.

        One that others can reach has every IP address and this computer's name. `proxy`: name of a
        proxy in front of it. Raises `UsageError` where that is no name.
        """
        names = {"localhost", _split(host) or host}
        if proxy is not None:
            proxy_name = _split(proxy)
            if proxy_name is None:
                raise UsageError(f"{proxy}: no host name; give the name alone, as upscale.example")
            names.add(proxy_name)
        others_reach_it = not _is_loopback(ip_address(address))
        if others_reach_it:
            computer = socket.gethostname().lower()
            names |= {computer, f"{computer.partition('.')[0]}.local"}
        return cls(frozenset(names), others_reach_it)

    def __contains__(self, host: object) -> bool:
        name = _split(host) if isinstance(host, str) else None
        if name is None:
            return False
        if name in self.names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return self.any_address or _is_loopback(address)


class HostCheck:
    """WSGI middleware that answers requests for other hosts with status 400.

    Only requests of HTTP/1.0 may lack the header.
    """

    def __init__(self, app: WSGIApplication, names: HostNames, url: str) -> None:
        self._app, self._names, self._url = app, names, url

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST")
        is_old = host is None and environ["SERVER_PROTOCOL"] != "HTTP/1.1"
        if is_old or host in self._names:
            return self._app(environ, start)
        text = f"Host {host or ''!r} is not a name of this server; open {self._url}\n"
        return Response(text, 400, mimetype="text/plain")(environ, start)


def origin_of(environ: WSGIEnvironment) -> str:
    """Return the origin of a request's own address, as browsers write it: without default port."""
    scheme, host = environ["wsgi.url_scheme"], environ.get("HTTP_HOST", "")
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}".lower()


def _split(host: str) -> str | None:
    """Return the name or address of `NAME`, `NAME:PORT` or `[ADDRESS]:PORT`; None: neither."""
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    try:
        name = match[1].encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return name.lower().strip("[]").rstrip(".") or None


def _is_loopback(address: IPv4Address | IPv6Address) -> bool:
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
