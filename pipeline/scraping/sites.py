"""What is known of sites: the form that each has, and what follows from it."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

from pipeline.params import ScrapeParams
from pipeline.scraping.addresses import parse_address
from pipeline.scraping.posts import Post

SiteForm = Literal["gelbooru02", "gelbooru025", "danbooru2"]
"""How a site lists posts; the web pages of `gelbooru025` are others than those of `gelbooru02`."""

ListingFormat = Literal["json", "xml", "html"]
"""What a listing is read from: the API in JSON or XML, or web pages."""

LISTING_FORMATS: dict[SiteForm, tuple[ListingFormat, ...]] = {
    "gelbooru02": ("json", "xml", "html"),
    "gelbooru025": ("json", "xml"),
    "danbooru2": ("json", "html"),
}
"""The formats of each form of site that can be read, the best first."""


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
    Site("danbooru.donmai.us", form="danbooru2"),
    Site("safebooru.donmai.us", form="danbooru2"),
)


_NEARNESS = 0.9
"""of two names, as `difflib` measures it: a letter or two differ"""


def known_site(address: str) -> Site:
    """Return the entry of the site at `address`, of its API's too; the default for others."""
    host = _host(address).removeprefix("www.")
    return next((site for site in SITES if host and host in (site.host, _host(site.api))), Site())


def likely_site(name: str) -> str | None:
    """Return the address of the known site whose name or address is nearly `name`; None if none.

    The first parts of the hosts' names are compared; of sites that share it, it means the first.
    A known site's own address and a path are near to none.
    """
    host = (_host(name) or name.lower()).removeprefix("www.")
    is_known = "://" in name and host in {site.host for site in SITES}
    if "/" in host or is_known:
        return None
    addresses: dict[str, str] = {}
    for site in SITES:
        addresses.setdefault(site.host.partition(".")[0], f"https://{site.host}")
    near = get_close_matches(host.partition(".")[0], addresses, 1, _NEARNESS)
    return addresses[near[0]] if near else None


def did_you_mean_site(name: str) -> str:
    """Return a question, in brackets, for the known site that `name` may mean; empty if none."""
    address = likely_site(name)
    return f" (did you mean {address}?)" if address else ""


def site_form(params: ScrapeParams) -> SiteForm:
    """Return the form of `params.site`: the param's, or that of a known site."""
    return known_site(params.site).form if params.form == "auto" else params.form


def listing_formats(params: ScrapeParams) -> tuple[ListingFormat, ...]:
    """Return the formats in which the posts of `params.site` may be listed, the best first."""
    return LISTING_FORMATS[site_form(params)] if params.listing == "auto" else (params.listing,)


def post_url(params: ScrapeParams, post: Post) -> str:
    """Return the address of the page that shows `post`."""
    if site_form(params) == "danbooru2":
        return f"{params.site}/posts/{post.id}"
    return f"{params.site}/index.php?page=post&s=view&id={post.id}"


@lru_cache(maxsize=64)
def _host(address: str) -> str:
    parts = parse_address(address)
    return (parts.host or "").lower() if parts else ""
