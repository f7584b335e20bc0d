"""Select posts by their metadata, before their files are fetched."""

import re

from pipeline.errors import UsageError
from pipeline.images.suffixes import FORMAT_BY_SUFFIX
from pipeline.params import ScrapeParams
from pipeline.scraping.posts import RATINGS, Post

PICTURE_FORMATS = {suffix.lstrip("."): format for suffix, format in FORMAT_BY_SUFFIX.items()}
"""Pillow's name of the format by the extension of file names"""
SITE_FILE_TYPES = ("jpg", "jpeg", "png", "webp")
"""Of a site, where `file_types` names none: many of its GIFs are animated, all have few colours"""

# Search terms of the site that are no tags; only the site knows which posts fit them.
_META_TAG = re.compile(
    r"~.*|.*\*.*|(id|rating|user|score|width|height|md5|source|parent|fav|updated|date):.*"
)


def check_rules(params: ScrapeParams) -> None:
    """Raise `UsageError` for rules that are valid by the schema but that no post can fit."""
    for key, values, allowed in (
        ("ratings", params.ratings, RATINGS),
        ("file_types", params.file_types, PICTURE_FORMATS.keys()),
    ):
        for value in values:
            if value not in allowed:
                raise UsageError(
                    f"scrape.{key}: {value!r} is unknown; known are {', '.join(sorted(allowed))}"
                )
    if not params.ratings:
        raise UsageError("scrape.ratings: name at least one")
    for key, tags in (("tags", params.tags), ("excluded_tags", params.excluded_tags)):
        for tag in tags:
            if tag.split() != [tag]:
                raise UsageError(f"scrape.{key}: {tag!r} is no single tag; tags hold no spaces")
            if tag.lower().startswith("sort:"):
                raise UsageError(f"scrape.{key}: {tag!r} does not fit a listing by newest post")
            if tag.startswith("-"):
                raise UsageError(f"scrape.{key}: {tag!r} {_advice_on_minus(key, tag[1:])}")


def _advice_on_minus(key: str, name: str) -> str:
    if key == "tags":
        return f"excludes a tag; write {name!r} in scrape.excluded_tags"
    return f"is excluded twice; write {name!r}"


def rejection_reason(post: Post, params: ScrapeParams) -> str | None:
    """Return the name of the first param that `post` does not fit, or None if it fits all.

    `max_bytes` is not checked: the length of a file is unknown until it is fetched.
    """
    short, long = sorted((post.width, post.height))
    # A site's search knows no case.
    tags = {tag.lower() for tag in post.tags}
    checks = (
        ("ratings", post.rating in params.ratings),
        ("tags", _without_meta_tags(params.tags) <= tags),
        ("excluded_tags", not _without_meta_tags(params.excluded_tags) & tags),
        ("file_types", post.extension in (params.file_types or SITE_FILE_TYPES)),
        ("min_side", short >= params.min_side),
        ("max_aspect", long <= params.max_aspect * short),
        ("max_pixels", short * long <= params.max_pixels),
    )
    return next((name for name, fits in checks if not fits), None)


def accepts_format(params: ScrapeParams, format: str) -> bool:
    """Return whether `file_types` names a format, Pillow's name of it, by any of its extensions."""
    return format in {PICTURE_FORMATS[name] for name in params.file_types or SITE_FILE_TYPES}


def _without_meta_tags(tags: tuple[str, ...]) -> set[str]:
    names = {tag.lower() for tag in tags}
    return {name for name in names if not _META_TAG.fullmatch(name)}
