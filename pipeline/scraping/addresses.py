"""Addresses as the HTTP library reads them: of redirects, and of a site's own hosts."""

from ipaddress import ip_address
from urllib.parse import urljoin

import requests
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from pipeline.scraping.fetch_errors import FetchError

_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"})


class CheckedSession(requests.Session):
    """Session that leaves redirects to its caller, who checks each address.

    Even where it is not to follow them, requests reads their bodies and resolves their addresses,
    and raises `ValueError` for some.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None

    def redirect_address(self, response: requests.Response) -> str | None:
        """Return the absolute address of a redirect, None for another response.

        Raises `FetchError` for a Location that is no address.
        """
        try:
            target = super().get_redirect_target(response)
            return None if target is None else urljoin(response.url, target)
        except ValueError:
            problem = f"redirects to {response.headers['Location']!r}, which is no address"
            raise FetchError(response.url, "redirects", problem) from None


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
    host = (url.host or "").lower()
    homes = (registrable_domain((site.host or "").lower()), *other_hosts)
    return any(host == home or _is_subdomain(host, home) for home in homes)


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
