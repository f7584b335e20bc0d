"""Select posts by their metadata, before their files are fetched."""

from pipeline.errors import UsageError
from pipeline.params import ScrapeParams
from pipeline.scraping.posts import RATINGS, Post
from pipeline.tag_patterns import tag_patterns

# File name ending → Pillow's name of the format.
PICTURE_FORMATS = {"gif": "GIF", "jpeg": "JPEG", "jpg": "JPEG", "png": "PNG", "webp": "WEBP"}


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
        if not values:
            raise UsageError(f"scrape.{key}: name at least one")
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
    checks = (
        ("ratings", post.rating in params.ratings),
        ("tags", not tag_patterns(params.tags).missing(post.tags)),
        ("excluded_tags", not tag_patterns(params.excluded_tags).match_any(post.tags)),
        ("file_types", post.extension in params.file_types),
        ("min_side", short >= params.min_side),
        ("max_aspect", long <= params.max_aspect * short),
        ("max_pixels", short * long <= params.max_pixels),
    )
    return next((name for name, fits in checks if not fits), None)
