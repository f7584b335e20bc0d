"""Parse the web pages of a Danbooru 2 site: the list of thumbnails, and the page of a post."""

import re
from typing import TYPE_CHECKING

from pipeline.scraping.api_parsing import AnswerError
from pipeline.scraping.danbooru_records import CATEGORIES, parse_records
from pipeline.scraping.html_listing import parse_web_page, unique_ids
from pipeline.scraping.posts import Malformed, Page, parse_int

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_MD5_NAME = re.compile(r"([0-9a-f]{32})\.[a-z0-9]+")


def listed_ids(body: bytes) -> list[int]:
    """Return the ids of the thumbnails on a list page, each once, in the page's order.

    An empty list means that there are no more posts. Raises `AnswerError` where the body is no list
    page.
    """
    tree = parse_web_page(body)
    ids = [parse_int(preview.get("data-id")) for preview in tree.select("article.post-preview")]
    return unique_ids(ids, is_list_page=tree.select_one("#posts") is not None)


def parse_view(body: bytes, post_id: int, site: str) -> Page:
    """Return the post `post_id` of its page; its id as malformed where the page shows another.

    Raises `AnswerError` where the body is no such page.
    """
    tree = parse_web_page(body)
    image = tree.select_one("section.image-container[data-id]")
    if image is None:
        raise AnswerError("answered with a web page that shows no post")
    if parse_int(image["data-id"]) != post_id:
        return Page(malformed=(Malformed(post_id, "its page shows another post"),))
    file_url = image.get("data-file-url")
    # The site names files by their md5.
    md5 = _MD5_NAME.search(str(file_url or ""))
    return parse_records([_record(post_id, tree, image, file_url, md5[1] if md5 else None)], site)


def _record(
    post_id: int, tree: "BeautifulSoup", image: "Tag", file_url: object, md5: str | None
) -> dict[str, object]:
    """Return what a page says of a post by the names of the API."""
    page = tree.select_one("body[data-post-id]")
    return {
        "id": post_id,
        "image_width": image.get("data-width"),
        "image_height": image.get("data-height"),
        "file_url": file_url,
        "md5": md5,
        "rating": image.get("data-rating"),
        "score": image.get("data-score"),
        "source": image.get("data-source"),
        "fav_count": page.get("data-post-fav-count") if page else None,
        "parent_id": page.get("data-post-parent-id") if page else None,
        "tag_string_general": image.get("data-tags"),
        **{f"tag_string_{category}": _tags(tree, category) for category in CATEGORIES},
    }


def _tags(tree: "BeautifulSoup", category: str) -> str:
    entries = tree.select(f"#tag-list ul.{category}-tag-list li[data-tag-name]")
    return " ".join(str(entry["data-tag-name"]) for entry in entries)
