"""The XML and HTML of a Gelbooru 0.2 site, from the templates beside this module."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.booru.api_records import OWNER, ServedPost, TagCount, xml_record

PAGE_POSTS = 42
_PAGES_SHOWN = 5

_TEMPLATES = Environment(
    loader=PackageLoader("pipeline.booru"), autoescape=True, undefined=StrictUndefined
)


@dataclass(frozen=True)
class _PageLink:
    """One entry of the pager; no `pid` for the page that is shown."""

    label: str
    tags: str
    pid: int | None = None
    alt: str = ""


def posts_xml(posts: Sequence[ServedPost], count: int, offset: int, site: str) -> str:
    """The API's answer with `posts`, out of `count` found. `site`: scheme and host."""
    records = [xml_record(post, site) for post in posts]
    return _render("posts.xml", posts=records, count=count, offset=offset)


def tags_xml(tags: Sequence[TagCount]) -> str:
    """The API's answer with `tags`."""
    return _render("tags.xml", tags=tags)


def comments_xml() -> str:
    """The API's answer about comments, of which this site has none."""
    return _render("comments.xml")


def error_xml(reason: str) -> str:
    """The API's answer when it refuses."""
    return _render("error.xml", reason=reason)


def list_page(
    found: Sequence[ServedPost], query: str, pid: int, tags: Mapping[str, TagCount], host: str
) -> str:
    """The page of thumbnails that begins at the post number `pid` of those `found`."""
    shown = found[pid : pid + PAGE_POSTS]
    names = sorted({name for post in shown for name in post.tags})
    return _render(
        "list.html",
        title=f"{query or 'all'} - Booru",
        query=query,
        posts=shown,
        tags=[tags[name] for name in names],
        pager=list(_pager(len(found), query, pid)),
        host=host,
    )


def view_page(post: ServedPost, tags: Mapping[str, TagCount], host: str) -> str:
    """The page of one post."""
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
    page, last = pid // PAGE_POSTS, max(0, (count - 1) // PAGE_POSTS)
    if page > 0:
        yield _PageLink("<<", tags, 0, "first page")
        yield _PageLink("<", tags, (page - 1) * PAGE_POSTS, "back")
    for number in range(max(0, page - _PAGES_SHOWN), min(last, page + _PAGES_SHOWN) + 1):
        label = str(number + 1)
        yield _PageLink(label, tags, None if number == page else number * PAGE_POSTS)
    if page < last:
        yield _PageLink(">", tags, (page + 1) * PAGE_POSTS, "next")
        yield _PageLink(">>", tags, last * PAGE_POSTS, "last page")


def _render(template: str, **values: object) -> str:
    return _TEMPLATES.get_template(template).render(values)
