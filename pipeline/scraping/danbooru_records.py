"""Records of a Danbooru 2 site, as posts."""

from collections.abc import Iterable, Mapping

from pipeline.scraping.api_parsing import AnswerError, BodyKind, body_kind, json_records
from pipeline.scraping.posts import Page, parse_page

RATINGS = {"g": "general", "s": "sensitive", "q": "questionable", "e": "explicit"}
"""The site's letters for ratings."""

CATEGORIES = ("artist", "character", "copyright", "meta")
"""Categories of tags but for the general ones."""

FIELDS = (
    "id",
    "image_width",
    "image_height",
    "md5",
    "rating",
    "score",
    "fav_count",
    "parent_id",
    "source",
    "file_url",
    "tag_string_general",
    *(f"tag_string_{category}" for category in CATEGORIES),
)
"""Fields that are read; a whole record has five times the length, for addresses of thumbnails."""


def parse_posts(body: bytes, site: str) -> Page:
    """Parse a response of `/posts.json`.

    Relative file addresses are resolved against `site`. Raises `AnswerError`, with the site's own
    reason where it gives one.
    """
    kind = body_kind(body)
    if kind is not BodyKind.JSON:
        raise AnswerError(f"answered with {kind.value} instead of posts in JSON")
    return parse_records(json_records(body), site)


def parse_records(records: Iterable[object], site: str) -> Page:
    """Return the page of `records`, which are mappings with `FIELDS`.

    Relative file addresses are resolved against `site`. A post without an address is one whose file
    this user may not see.
    """
    return parse_page([_renamed(record) for record in records], site)


def _renamed(record: object) -> object:
    """Return a record with the names of Gelbooru 0.2."""
    if not isinstance(record, Mapping):
        return record
    categories = {name: _words(record.get(f"tag_string_{name}")) for name in CATEGORIES}
    general = _words(record.get("tag_string_general"))
    rating = record.get("rating")
    return {
        "id": record.get("id"),
        "width": record.get("image_width"),
        "height": record.get("image_height"),
        "file_url": record.get("file_url"),
        "is_hidden": not record.get("file_url"),
        "md5": record.get("md5"),
        "rating": RATINGS.get(rating, rating) if isinstance(rating, str) else None,
        "tags": general + [tag for tags in categories.values() for tag in tags],
        "tag_categories": categories,
        "source": record.get("source"),
        "parent_id": record.get("parent_id"),
        "score": record.get("score"),
        "favourites": record.get("fav_count"),
    }


def _words(value: object) -> list[str]:
    return value.split() if isinstance(value, str) else []
