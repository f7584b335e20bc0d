"""Forms of sites: which one a site has, and the page on which it shows a post."""

from typing import Literal

from pipeline.params import ScrapeParams
from pipeline.scraping.addresses import parse_address
from pipeline.scraping.posts import Post

SiteForm = Literal["gelbooru02", "danbooru2"]

_DANBOORU_HOSTS = frozenset({"danbooru.donmai.us", "safebooru.donmai.us"})


def site_form(params: ScrapeParams) -> SiteForm:
    """Return the form of `params.site`: the param's, or that of a known host."""
    if params.form != "auto":
        return params.form
    address = parse_address(params.site)
    host = (address.host or "").lower() if address else ""
    return "danbooru2" if host in _DANBOORU_HOSTS else "gelbooru02"


def post_url(params: ScrapeParams, post: Post) -> str:
    """Return the address of the page that shows `post`."""
    if site_form(params) == "danbooru2":
        return f"{params.site}/posts/{post.id}"
    return f"{params.site}/index.php?page=post&s=view&id={post.id}"
