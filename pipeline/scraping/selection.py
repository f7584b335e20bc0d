"""Select posts by their metadata, before their files are fetched."""

from pipeline.errors import UsageError
from pipeline.images.suffixes import FORMAT_BY_SUFFIX
from pipeline.params import ScrapeParams
from pipeline.scraping.posts import RATINGS, Post
from pipeline.scraping.sites import site_form
from pipeline.tag_patterns import tag_patterns

PICTURE_FORMATS = {suffix.lstrip("."): format for suffix, format in FORMAT_BY_SUFFIX.items()}
"""Pillow's name of the format by the extension of file names"""
SITE_FILE_TYPES = ("jpg", "jpeg", "png", "webp")
"""Of a site, where `file_types` names none: many of its GIFs are animated, all have few colours"""


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
    if site_form(params) == "danbooru2":
        _check_rules_of_danbooru(params)
    for key, tags in (("tags", params.tags), ("excluded_tags", params.excluded_tags)):
        for tag in tags:
            if tag.split() != [tag]:
                raise UsageError(f"scrape.{key}: {tag!r} is no single tag; tags hold no spaces")
            if tag.lower().startswith(("sort:", "order:")):
                raise UsageError(f"scrape.{key}: {tag!r} does not fit a listing by newest post")
            if tag.startswith("-"):
                raise UsageError(f"scrape.{key}: {tag!r} {_advice_on_minus(key, tag[1:])}")


def _check_rules_of_danbooru(params: ScrapeParams) -> None:
    if params.listing == "xml":
        raise UsageError(
            "scrape.listing: Danbooru 2 sites are not listed in XML; set auto, json or html"
        )
    if params.ratings == ("safe",):
        raise UsageError("scrape.ratings: Danbooru 2 sites have no safe; add general")


def _advice_on_minus(key: str, name: str) -> str:
    if key == "tags":
        return f"excludes a tag; write {name!r} in scrape.excluded_tags"
    return f"is excluded twice; write {name!r}"


def rejection_reason(post: Post, params: ScrapeParams) -> str | None:
    """Return the name of the first param that `post` does not fit, or None if it fits all.

    The reason is `hidden` where the site has no address of the file. A post without a score counts
    as one of score 0, as in the site's own search. `max_bytes` is not checked: the length of a file
    is unknown until it is fetched.
    """
    short, long = sorted((post.width, post.height))
    least_score = params.min_score
    checks = (
        ("hidden", bool(post.file_url)),
        ("ratings", post.rating in params.ratings),
        ("tags", not tag_patterns(params.tags).missing(post.tags)),
        ("excluded_tags", not tag_patterns(params.excluded_tags).match_any(post.tags)),
        ("min_score", least_score is None or (post.score or 0) >= least_score),
        ("file_types", post.extension in (params.file_types or SITE_FILE_TYPES)),
        ("min_side", short >= params.min_side),
        ("max_aspect", long <= params.max_aspect * short),
        ("max_pixels", short * long <= params.max_pixels),
    )
    return next((name for name, fits in checks if not fits), None)


def accepts_format(params: ScrapeParams, format: str) -> bool:
    """Return whether `file_types` names a format, Pillow's name of it, by any of its extensions."""
    return format in {PICTURE_FORMATS[name] for name in params.file_types or SITE_FILE_TYPES}
