"""Addresses as the HTTP library reads them: of redirects, and of a site's own hosts."""

from ipaddress import ip_address
from urllib.parse import urljoin

import requests
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from pipeline.scraping.fetch_errors import FetchError


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


def same_site(url: Url | None, site: Url) -> bool:
    """Return whether `url` is on the host of `site` or a subdomain of it, at a usual port or its.

    An address with a user name is on no site.
    """
    if url is None or url.auth or url.port not in (None, 80, 443, site.port):
        return False
    host, home = (url.host or "").lower(), (site.host or "").lower().removeprefix("www.")
    if host == home:
        return True
    try:
        ip_address(home.strip("[]"))
    except ValueError:
        return host.endswith("." + home)
    return False
