"""Which posts are wanted, told from their metadata before a byte of a file is fetched."""

import re

from pipeline.errors import UsageError
from pipeline.params import ScrapeParams
from pipeline.scraping.posts import RATINGS, Post

# File name ending → Pillow's name of the format.
PICTURE_FORMATS = {"gif": "GIF", "jpeg": "JPEG", "jpg": "JPEG", "png": "PNG", "webp": "WEBP"}

# What the site's search understands beyond tags; only the site can tell whether a post fits.
_META_TAG = re.compile(
    r"~.*|.*\*.*|(id|rating|user|score|width|height|md5|source|parent|fav|updated|date):.*"
)


def check_rules(params: ScrapeParams) -> None:
    """Raise `UsageError` for rules that the schema lets through but no post can fit."""
    for key, values, known in (
        ("ratings", params.ratings, RATINGS),
        ("file_types", params.file_types, PICTURE_FORMATS.keys()),
    ):
        for value in values:
            if value not in known:
                raise UsageError(
                    f"scrape.{key}: {value!r} is unknown; known are {', '.join(sorted(known))}"
                )
        if not values:
            raise UsageError(f"scrape.{key}: name at least one")
    for key, tags in (("tags", params.tags), ("excluded_tags", params.excluded_tags)):
        for tag in tags:
            if tag.split() != [tag]:
                raise UsageError(f"scrape.{key}: {tag!r} is no single tag; tags hold no spaces")
            if tag.startswith("sort:"):
                raise UsageError(f"scrape.{key}: {tag!r} does not fit a listing by newest post")


def rejection(post: Post, params: ScrapeParams) -> str | None:
    """The param that `post` does not fit, or None if it is acceptable.

    The size of the file (`max_bytes`) is known only when it is fetched.
    """
    short, long = sorted((post.width, post.height))
    tags = set(post.tags)
    checks = (
        ("ratings", post.rating in params.ratings),
        ("tags", _plain(params.tags) <= tags),
        ("excluded_tags", not _plain(params.excluded_tags) & tags),
        ("file_types", post.extension in params.file_types),
        ("min_side", short >= params.min_side),
        ("max_aspect", long <= params.max_aspect * short),
        ("max_pixels", short * long <= params.max_pixels),
    )
    return next((name for name, fits in checks if not fits), None)


def _plain(tags: tuple[str, ...]) -> set[str]:
    return {tag.lower() for tag in tags if not _META_TAG.fullmatch(tag)}
