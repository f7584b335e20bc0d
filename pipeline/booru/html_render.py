"""Render the XML and HTML of both kinds of site from the templates in `templates/`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.booru.api_records import OWNER, ServedPost, TagCount, xml_record

POSTS_PER_PAGE = 42
_PAGER_REACH = 5

_TEMPLATES = Environment(
    loader=PackageLoader("pipeline.booru"), autoescape=True, undefined=StrictUndefined
)


@dataclass(frozen=True)
class _PageLink:
    """One entry of the pager; `pid` is None for the current page."""

    label: str
    tags: str
    pid: int | None = None
    alt: str = ""


def posts_xml(posts: Sequence[ServedPost], count: int, offset: int, site: str) -> str:
    """Render the API's page of `posts`, out of `count` matches. `site`: scheme and host."""
    records = [xml_record(post, site) for post in posts]
    return _render("posts.xml", posts=records, count=count, offset=offset)


def tags_xml(tags: Sequence[TagCount]) -> str:
    """Render the API's page of `tags`."""
    return _render("tags.xml", tags=tags)


def comments_xml() -> str:
    """Render the API's page of comments, of which this site has none."""
    return _render("comments.xml")


def error_xml(reason: str) -> str:
    """Render the API's error."""
    return _render("error.xml", reason=reason)


def list_page(
    matches: Sequence[ServedPost], query: str, pid: int, tags: Mapping[str, TagCount], host: str
) -> str:
    """Render the page of thumbnails that begins at index `pid` of `matches`."""
    page = matches[pid : pid + POSTS_PER_PAGE]
    names = sorted({name for post in page for name in post.tags})
    return _render(
        "list.html",
        title=f"{query or 'all'} - Booru",
        query=query,
        posts=page,
        tags=[tags[name] for name in names],
        pager=list(_pager(len(matches), query, pid)),
        host=host,
    )


def view_page(post: ServedPost, tags: Mapping[str, TagCount], host: str) -> str:
    """Render the page of one post."""
    return _render(
        "view.html",
        title=f"{' '.join(post.picture.tags)} - Booru",
        query="",
        post=post,
        owner=OWNER,
        tags=[tags[name] for name in post.picture.tags],
        host=host,
    )


def _pager(count: int, query: str, pid: int) -> Iterator[_PageLink]:
    tags = quote_plus(query or "all")
    page, last = pid // POSTS_PER_PAGE, max(0, (count - 1) // POSTS_PER_PAGE)
    if page > 0:
        yield _PageLink("<<", tags, 0, "first page")
        yield _PageLink("<", tags, (page - 1) * POSTS_PER_PAGE, "back")
    for number in range(max(0, page - _PAGER_REACH), min(last, page + _PAGER_REACH) + 1):
        label = str(number + 1)
        yield _PageLink(label, tags, None if number == page else number * POSTS_PER_PAGE)
    if page < last:
        yield _PageLink(">", tags, (page + 1) * POSTS_PER_PAGE, "next")
        yield _PageLink(">>", tags, last * POSTS_PER_PAGE, "last page")


def danbooru_list_page(records: Sequence[Mapping[str, object]], query: str) -> str:
    """Render the page of thumbnails of a Danbooru 2 site; `records` are those of its API."""
    return _render("danbooru_list.html", posts=records, query=query)


def danbooru_view_page(record: Mapping[str, object], categories: Sequence[str]) -> str:
    """Render the page of a post of a Danbooru 2 site, its tags by category."""
    return _render("danbooru_view.html", post=record, categories=categories)


def _render(template: str, **values: object) -> str:
    return _TEMPLATES.get_template(template).render(values)
