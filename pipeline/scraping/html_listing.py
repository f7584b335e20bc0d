"""The web pages of a Gelbooru 0.2 site: the list of thumbnails, and the view of one post."""

import re
from urllib.parse import parse_qs, urlsplit

from bs4 import BeautifulSoup, Tag

from pipeline.scraping.api_parsing import AnswerError, Kind, body_kind, parse_html
from pipeline.scraping.posts import Page, integer, page_of

_NOTHING_FOUND = "Nobody here but us chickens"


def listed_ids(body: bytes) -> list[int]:
    """Ids of the thumbnails on a list page, each once, in the page's order; none: no more posts.

    Raises `AnswerError` where the body is no list page.
    """
    tree = _web_page(body)
    ids = [_thumbnail_id(thumbnail) for thumbnail in tree.select("span.thumb")]
    found = list(dict.fromkeys(number for number in ids if number))
    if not found and not _is_list(tree):
        raise AnswerError("answered with a web page that lists no posts")
    return found


def parse_view(body: bytes, number: int, site: str) -> Page:
    """The post on a view page: one post, or its id as malformed where the page does not show it.

    The site leads to a list page where a post has vanished. What the page does not tell stays
    empty: md5 and parent. Raises `AnswerError` where the body is neither page.
    """
    tree = _web_page(body)
    facts = _facts(tree)
    if not facts and not _is_list(tree):
        raise AnswerError("answered with a web page that shows no post")
    if integer(facts.get("id", str(number))) != number:
        return Page(malformed=(number,))
    width, height = _size(tree, facts)
    record = {
        "id": number,
        "width": width,
        "height": height,
        "file_url": _original(tree),
        "rating": facts.get("rating"),
        "source": facts.get("source"),
        "tags": " ".join(_tags(tree)),
    }
    return page_of([record], site)


def _web_page(body: bytes) -> BeautifulSoup:
    kind = body_kind(body)
    if kind is not Kind.HTML:
        raise AnswerError(f"answered with {kind.value} instead of a web page")
    return parse_html(body)


def _thumbnail_id(thumbnail: Tag) -> int | None:
    link = thumbnail.find("a", href=True)
    if not isinstance(link, Tag):
        return None
    return integer(_query(str(link["href"])).get("id", ""))


def _is_list(tree: BeautifulSoup) -> bool:
    pager = tree.select_one("#paginator, div.pagination, #post-list")
    return pager is not None or _NOTHING_FOUND in tree.get_text()


def _facts(tree: BeautifulSoup) -> dict[str, str]:
    """The lines `Name: value` of the statistics, by lower-case name."""
    pairs = (item.get_text(" ", strip=True).partition(":") for item in tree.select("#stats li"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _size(tree: BeautifulSoup, facts: dict[str, str]) -> tuple[object, object]:
    if size := re.match(r"(\d+)\s*x\s*(\d+)", facts.get("size", "")):
        return size[1], size[2]
    shown = tree.select_one("img#image")
    # A sample's size is not the picture's.
    if shown is None or "/samples/" in str(shown.get("src")):
        return None, None
    return shown.get("width"), shown.get("height")


def _original(tree: BeautifulSoup) -> str | None:
    for link in tree.find_all("a", href=True):
        if link.get_text(strip=True).lower() == "original image":
            return str(link["href"])
    return None


def _tags(tree: BeautifulSoup) -> list[str]:
    """The tags as a search names them: what each entry's last link to a list looks for."""
    names = []
    for entry in tree.select("#tag-sidebar li[class*=tag-type-]"):
        searches = [_query(str(link["href"])) for link in entry.find_all("a", href=True)]
        wanted = [query.get("tags", "") for query in searches if query.get("s") == "list"]
        names += [name.replace(" ", "_") for name in wanted[-1:] if name]
    return names


def _query(address: str) -> dict[str, str]:
    try:
        return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    except ValueError:
        return {}
