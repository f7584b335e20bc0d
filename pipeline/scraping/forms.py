"""Forms of sites: which one a site has, and the page on which it shows a post."""

from pipeline.params import ScrapeParams
from pipeline.scraping.posts import Post
from pipeline.scraping.sites import SiteForm, known_site


def site_form(params: ScrapeParams) -> SiteForm:
    """Return the form of `params.site`: the param's, or that of a known site."""
    return known_site(params.site).form if params.form == "auto" else params.form


def post_url(params: ScrapeParams, post: Post) -> str:
    """Return the address of the page that shows `post`."""
    if site_form(params) == "danbooru2":
        return f"{params.site}/posts/{post.id}"
    return f"{params.site}/index.php?page=post&s=view&id={post.id}"
