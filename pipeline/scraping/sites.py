"""What is known of sites whose layout is not that of a plain Gelbooru 0.2 site."""

from dataclasses import dataclass
from typing import Literal

from pipeline.scraping.addresses import parse_address

SiteForm = Literal["gelbooru02", "gelbooru025", "danbooru2"]
"""How a site lists posts; the web pages of `gelbooru025` are others than those of `gelbooru02`."""


@dataclass(frozen=True)
class Site:
    """One site, or with the defaults any that is not in the table.

    `host` is that of its web pages. `api` is the address before `/index.php` of its API, empty
    where that is the site's own. `file_hosts` are the hosts of its files, and their subdomains,
    that are on another domain than the site. `needs_key`: the API answers to users of the site
    alone.
    """

    host: str = ""
    form: SiteForm = "gelbooru02"
    api: str = ""
    file_hosts: tuple[str, ...] = ()
    needs_key: bool = False


SITES = (
    Site("safebooru.org"),
    Site("gelbooru.com", form="gelbooru025", needs_key=True),
    Site("rule34.xxx", api="https://api.rule34.xxx", needs_key=True),
    Site("danbooru.donmai.us", form="danbooru2", file_hosts=("cdn.donmai.us",)),
    Site("safebooru.donmai.us", form="danbooru2", file_hosts=("cdn.donmai.us",)),
)


def known_site(address: str) -> Site:
    """Return the entry of the site at `address`, of its API's too; the default for others."""
    host = _host(address).removeprefix("www.")
    return next((site for site in SITES if host and host in (site.host, _host(site.api))), Site())


def _host(address: str) -> str:
    parts = parse_address(address)
    return (parts.host or "").lower() if parts else ""
