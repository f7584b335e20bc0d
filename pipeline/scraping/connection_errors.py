"""Errors of the HTTP library, the proxies and TLS as errors of one address."""

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, RemoteDisconnected
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import (
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from pipeline.scraping.api_parsing import excerpt
from pipeline.scraping.fetch_errors import FetchError, SiteError, TransientError, UnreachableError
from pipeline.scraping.least_rate import LEAST_RATE

_NEVER_CONNECTED = (
    requests.ConnectTimeout,
    requests.exceptions.SSLError,
    requests.exceptions.ProxyError,
)
_NO_ADDRESS = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)
# In the order in which requests looks for them.
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY = re.compile(r"((?:(?:[a-z][a-z0-9+.-]*:)?//)?)(.*)", re.IGNORECASE | re.DOTALL)
_TUNNEL_STATUS = re.compile(r"Tunnel connection failed: ([0-9]{3})")


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Raise errors of requests and urllib3 within the block as `FetchError` of `url`.

    Raises `SiteError` where a proxy is set that cannot be used.
    """
    try:
        yield
    except requests.ConnectionError as error:
        raise _connection_error(url, error) from None
    except (requests.Timeout, ReadTimeoutError):
        raise _timeout(url) from None
    except (*_NO_ADDRESS, LocationParseError) as error:
        # The address itself was parsed before it was requested.
        raise proxy_error(url, _text(url, error)) or _no_address(url, error) from None
    except (HTTPError, requests.exceptions.ChunkedEncodingError) as error:
        raise TransientError(
            url, "connection", f"the transfer broke: {_text(url, error)}"
        ) from None
    except requests.RequestException as error:
        raise _no_address(url, error) from None


def raise_for_proxy(url: str, status: int) -> None:
    """Raise `SiteError` if an answer of HTTP `status` is a proxy's, which wants a password."""
    if status == 407 and (error := proxy_error(url, "wants a name and a password (HTTP 407)")):
        raise error


def proxy_for(url: str) -> tuple[str, str] | None:
    """Return the variable that sets a proxy for `url`, and its address without name and password.

    None where there is no proxy.
    """
    if not (proxy := _set_proxy(url)):
        return None
    names = [f"{urlsplit(url).scheme}_proxy", "all_proxy"]
    forms = [form for name in names for form in (name, name.upper())]
    variable = next((name for name in forms if os.environ.get(name)), "the system's settings")
    scheme, _, place = _parts(proxy)
    return variable, scheme + place


def _set_proxy(url: str) -> str:
    return select_proxy(url, get_environ_proxies(url)) or ""


def _parts(proxy: str) -> tuple[str, str, str]:
    """Return scheme, name and password, and host and port of a proxy, whether it is valid or not.

    All up to the last `@` may be of a password.
    """
    scheme, rest = _PROXY.findall(proxy)[0]
    login, _, place = rest.rpartition("@")
    return scheme, login, place


def proxy_error(url: str, problem: str) -> SiteError | None:
    """Return the error of the proxy for `url`, None where there is no proxy."""
    proxy = proxy_for(url)
    if proxy is None:
        return None
    variable, address = proxy
    advice = f"correct or unset {variable}"
    if "SOCKS" in problem:
        advice = f"install PySocks (pip install pysocks), or unset {variable}"
    elif "407" in problem:
        advice = f"write them into {variable} (http://NAME:PASSWORD@HOST:PORT), or unset it"
    return SiteError(url, f"the proxy {address} of {variable}: {problem}; {advice}")


def certificates_error(url: str) -> SiteError | None:
    """Return the error of the certificates that the environment names; None where they are read."""
    variable, name = _certificates()
    if not name or Path(name).is_dir():
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(name)
    except ssl.SSLError:
        problem = "holds no certificate"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    else:
        return None
    advice = f"correct or unset {variable}"
    return SiteError(url, f"cannot be requested: {name}, named by {variable}, {problem}; {advice}")


def _certificates() -> tuple[str, str]:
    """Return the variable that names the certificates to trust, and its value; empty if none."""
    variable = next((name for name in _CERTIFICATES if os.environ.get(name)), _CERTIFICATES[0])
    return variable, os.environ.get(variable, "")


def _no_address(url: str, error: Exception) -> FetchError:
    return FetchError(url, "address", f"cannot be requested: {_text(url, error)}")


def _timeout(url: str) -> TransientError:
    problem = f"the server fell silent, or sent less than {LEAST_RATE:g} bytes a second"
    return TransientError(url, "timeout", problem)


def _connection_error(url: str, error: requests.ConnectionError) -> FetchError | SiteError:
    first = error.args[0] if error.args else None
    cause = getattr(first, "reason", None)
    if isinstance(error, _NEVER_CONNECTED) or isinstance(cause, NewConnectionError):
        return _unreachable(url, error)
    if isinstance(first, ReadTimeoutError) or isinstance(error, requests.Timeout):
        return _timeout(url)
    return TransientError(url, "connection", f"the connection broke{_broken_answer(first)}")


def _broken_answer(error: object) -> str:
    """Return what was wrong with an answer that is no HTTP; nothing where none came."""
    for cause in error.args if isinstance(error, ProtocolError) else ():
        if isinstance(cause, HTTPException) and not isinstance(cause, RemoteDisconnected):
            return f": its answer is no HTTP: {excerpt(str(cause) or type(cause).__name__)}"
    return ""


def _unreachable(url: str, error: requests.ConnectionError) -> FetchError | SiteError:
    fault = _system_error(error)
    tunnel = _TUNNEL_STATUS.search(str(fault))
    if tunnel and tunnel[1] == "407":
        raise_for_proxy(url, 407)
    reason = f"the proxy answered HTTP {tunnel[1]}" if tunnel else _reason(fault)
    if isinstance(fault, ssl.SSLCertVerificationError):
        variable, name = _certificates()
        trusted = f"the certificates in {name}" if name else "its certificates"
        advice = f"check the address, this computer's clock and {trusted} ({variable} names others)"
        return UnreachableError(url, f"cannot be reached: {reason}", advice, lasting=True)
    if isinstance(fault, ssl.SSLError) and (unread := certificates_error(url)):
        return unread
    if proxy := proxy_for(url):
        variable, address = proxy
        problem = f"cannot be reached by the proxy {address} of {variable}: {reason}"
        return UnreachableError(url, problem, f"check the proxy, or unset {variable}")
    return UnreachableError(url, f"cannot be reached: {reason}")


def _reason(fault: OSError | None) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return fault.verify_message.rstrip(".")
    if isinstance(fault, ssl.SSLError):
        return f"TLS: {(fault.reason or 'failed').replace('_', ' ').lower()}"
    return (fault.strerror or str(fault) or "no answer") if fault else "no answer"


def _system_error(error: BaseException | None) -> OSError | None:
    """Return the error of the operating system or of TLS that caused one of the HTTP library."""
    if error is None:
        return None
    own = error if isinstance(error, OSError) else None
    if isinstance(error, requests.RequestException):
        own = None
    if own is not None and own.strerror:
        return own
    inner = (*error.args, getattr(error, "reason", None), error.__cause__, error.__context__)
    errors = (_system_error(one) for one in inner if isinstance(one, BaseException))
    return next((found for found in errors if found), own)


def _text(url: str, error: BaseException) -> str:
    """Return the message of the innermost error, in one line, without a proxy's password."""
    first = error.args[0] if error.args else None
    if isinstance(first, BaseException):
        return _text(url, first)
    text = str(first or type(error).__name__)
    _, login, _ = _parts(_set_proxy(url))
    if re.search("[/?#]", login):
        # The library takes a part of the password for the host, which it quotes.
        return "its name or password has a sign that must be percent-encoded there (/ ? #)"
    if login:
        text = re.sub(r"[^\s/]*@", "", text.replace(f"{login}@", ""))
    return excerpt(text).rstrip(".")
