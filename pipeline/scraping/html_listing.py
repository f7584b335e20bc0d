"""Parse the web pages of a Gelbooru 0.2 site: the list of thumbnails, and the view of a post."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from pipeline.scraping.api_parsing import AnswerError, BodyKind, body_kind, parse_html
from pipeline.scraping.posts import Malformed, Page, parse_int, parse_page

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

# The site's name of a category, where it is another.
_CATEGORIES = {"metadata": "meta"}
_NOTHING_FOUND = "Nobody here but us chickens"


def listed_ids(body: bytes) -> list[int]:
    """Return the ids of the thumbnails on a list page, each once, in the page's order.

    An empty list means that there are no more posts. Raises `AnswerError` where the body is no list
    page.
    """
    tree = parse_web_page(body)
    ids = [_thumbnail_id(thumbnail) for thumbnail in tree.select("span.thumb")]
    return unique_ids(ids, is_list_page=_is_list_page(tree))


def unique_ids(ids: Sequence[int | None], *, is_list_page: bool) -> list[int]:
    """Return the ids of a page's thumbnails, each once; None stands for one that cannot be read.

    Raises `AnswerError` where none can be read, or there is none and the page is no list page.
    """
    unique = list(dict.fromkeys(post_id for post_id in ids if post_id))
    # A single odd one after all others must not keep the listing from its end.
    if len(ids) > 1 and not unique:
        raise AnswerError("answered with a web page that lists posts without ids")
    if not unique and not is_list_page:
        raise AnswerError("answered with a web page that lists no posts")
    return unique


def parse_view(body: bytes, post_id: int, site: str) -> Page:
    """Return the post `post_id` of a view page; its id as malformed where the page lacks it.

    The site redirects to a list page where a post was removed. md5 and parent are not on the page
    and stay empty. Raises `AnswerError` where the body is neither page.
    """
    tree = parse_web_page(body)
    statistics = _statistics(tree)
    if not statistics and not _is_list_page(tree):
        raise AnswerError("answered with a web page that shows no post")
    if parse_int(statistics.get("id", str(post_id))) != post_id:
        return Page(malformed=(Malformed(post_id, "its page shows another post, or a list"),))
    width, height = _size(tree, statistics)
    tags = _tags(tree)
    record = {
        "id": post_id,
        "width": width,
        "height": height,
        "file_url": _original(tree),
        "rating": statistics.get("rating"),
        "source": statistics.get("source"),
        "score": _leading_number(statistics.get("score", "")),
        "tags": [name for names in tags.values() for name in names],
        "tag_categories": {_CATEGORIES.get(name, name): names for name, names in tags.items()},
    }
    return parse_page([record], site)


def parse_web_page(body: bytes) -> "BeautifulSoup":
    """Parse a web page. Raises `AnswerError` where the body is none."""
    kind = body_kind(body)
    if kind is not BodyKind.HTML:
        raise AnswerError(f"answered with {kind.value} instead of a web page")
    return parse_html(body)


def _thumbnail_id(thumbnail: "Tag") -> int | None:
    link = thumbnail.select_one("a[href]")
    if link is None:
        return None
    return parse_int(_query(str(link["href"])).get("id", ""))


def _is_list_page(tree: "BeautifulSoup") -> bool:
    pager = tree.select_one("#paginator, div.pagination, #post-list")
    return pager is not None or _NOTHING_FOUND in tree.get_text()


def _statistics(tree: "BeautifulSoup") -> dict[str, str]:
    """Return the values of the `Name: value` lines in the statistics, by lower-case name."""
    pairs = (item.get_text(" ", strip=True).partition(":") for item in tree.select("#stats li"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _size(tree: "BeautifulSoup", statistics: dict[str, str]) -> tuple[object, object]:
    if size := re.match(r"(\d+)\s*x\s*(\d+)", statistics.get("size", "")):
        return size[1], size[2]
    image = tree.select_one("img#image")
    # A sample is smaller than the original.
    if image is None or "/samples/" in str(image.get("src")):
        return None, None
    return image.get("width"), image.get("height")


def _leading_number(text: str) -> str | None:
    """Return the number before what else is in a line, as links to vote."""
    match = re.match(r"-?\d+", text)
    return match[0] if match else None


def _original(tree: "BeautifulSoup") -> str | None:
    for link in tree.find_all("a", href=True):
        if link.get_text(strip=True).lower() == "original image":
            return str(link["href"])
    return None


def _tags(tree: "BeautifulSoup") -> dict[str, list[str]]:
    """Return the tags by type, as a search names them: the last list link of a sidebar entry."""
    tags: dict[str, list[str]] = {}
    for entry in tree.select("#tag-sidebar li[class*=tag-type-]"):
        searches = [_query(str(link["href"])) for link in entry.find_all("a", href=True)]
        searched = [query.get("tags", "") for query in searches if query.get("s") == "list"]
        names = [name.replace(" ", "_") for name in searched[-1:] if name]
        tags.setdefault(_tag_type(entry), []).extend(names)
    return tags


def _tag_type(entry: "Tag") -> str:
    classes = " ".join(entry.get_attribute_list("class"))
    match = re.search(r"tag-type-(\w+)", classes)
    return match[1] if match else ""


def _query(address: str) -> dict[str, str]:
    try:
        return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    except ValueError:
        return {}
