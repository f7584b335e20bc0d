"""Addresses as the HTTP library reads them: of redirects, and of a site's own hosts."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import requests
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from pipeline.scraping.fetch_errors import FetchError

_LOGIN = re.compile(
    r"(?<![a-z0-9])(log[-_]?in|sign[-_]?in|sessions?/new)(?![a-z0-9_])", re.IGNORECASE
)
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"})


class CheckedSession(requests.Session):
    """Session that leaves redirects to its caller, who checks each address.

    Even where it is not to follow them, requests reads their bodies and resolves their addresses,
    and raises `ValueError` for some. Proxies and certificates that the environment names are those
    of the first request to a host.
    """

    def __init__(self) -> None:
        super().__init__()
        self._settings: dict[str, Any] = {}

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None

    def merge_environment_settings(self, url: Any, *arguments: Any, **options: Any) -> Any:
        """Return what requests does, which reads the whole environment for each request."""
        host = origin(url)
        if host not in self._settings:
            self._settings[host] = super().merge_environment_settings(url, *arguments, **options)
        return self._settings[host]


def redirect_address(response: requests.Response) -> str | None:
    """Return the absolute address of a redirect, None for another response.

    Raises `FetchError` for a Location that is no address.
    """
    if not response.is_redirect:
        return None
    location = response.headers["Location"]
    try:
        return prepared_address(urljoin(response.url, _decoded(location)))
    except ValueError:
        problem = f"redirects to {location!r}, which is no address"
        raise FetchError(response.url, "redirects", problem) from None


def leads_to_login(url: str, target: str) -> bool:
    """Return whether a redirect from `url` to `target` leads to a page to log in, by its name."""
    return _LOGIN.search(target) is not None and _LOGIN.search(url) is None


def prepared_address(url: str, params: Mapping[str, str | int] | None = None) -> str:
    """Return an address as it will be requested: dot segments resolved, percent-encoded, in ASCII.

    Raises `ValueError` where it is no http(s) address.
    """
    request = requests.PreparedRequest()
    request.prepare_url(urldefrag(url).url, params)
    if request.url is None or parse_address(request.url) is None:
        raise ValueError(f"{url}: no http(s) address")
    return request.url


def origin(url: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _decoded(location: str) -> str:
    """Return a header's text, which is UTF-8, or else bytes that are to be sent as they are."""
    data = location.encode("latin-1")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return quote(data, safe="".join(map(chr, range(0x21, 0x7F))))


def parse_address(url: str) -> Url | None:
    """Parse `url` as the HTTP library does; None if it is no http(s) address."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.host else None


def same_site(url: Url | None, site: Url, other_hosts: tuple[str, ...] = ()) -> bool:
    """Return whether `url` is on the registrable domain of `site`, at a usual port or the site's.

    So are `other_hosts` and their subdomains. An address with a user name is on no site.
    """
    if url is None or url.auth or url.port not in (None, 80, 443, site.port):
        return False
    host = _host(url)
    homes = (registrable_domain(_host(site)), *other_hosts)
    return any(host == home or _is_subdomain(host, home) for home in homes)


def _host(url: Url) -> str:
    """Return a host's name in its usual form: a dot at the end says that it is complete."""
    return (url.host or "").lower().removesuffix(".")


def named_host(url: str) -> str:
    """Return what of an address `same_site` looks at, for a message: its host and port."""
    parts = parse_address(url)
    if parts is None:
        return "no host"
    port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    return f"{parts.host}{port}{' with a user name' if parts.auth else ''}"


def registrable_domain(host: str) -> str:
    """Return the part of a host's name that its owner has registered; an IP address as it is.

    That is the last two parts, three below the usual second levels of countries. Names below a
    provider of pages for many (`github.io`) count as one owner's.
    """
    parts = host.split(".")
    if _is_ip(host) or len(parts) < 3:
        return host
    is_second_level = len(parts[-1]) == 2 and parts[-2] in _SECOND_LEVELS
    return ".".join(parts[-3 if is_second_level else -2 :])


def _is_subdomain(host: str, home: str) -> bool:
    return not _is_ip(home) and host.endswith("." + home)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
