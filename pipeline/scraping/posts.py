"""Posts of a site, built from records with the names of the API of Gelbooru 0.2."""

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit

from pydantic import TypeAdapter, ValidationError

from pipeline.fields import Address, Id, Index, Int64, Line, Side, Tags

# Older records and the XML abbreviate ratings.
RATING_LETTERS = {"g": "general", "s": "safe", "q": "questionable", "e": "explicit"}
RATINGS = frozenset({"general", "safe", "sensitive", "questionable", "explicit"})

# SQLite and numpy hold ids in signed 64 bits.
MAX_ID = 2**63 - 1

# Letters without the semicolon may be a parameter of an address: `&copy=2`.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_MD5 = re.compile(r"[0-9a-f]{32}")
_EXTENSION = re.compile(r"\.([a-z0-9]{1,8})")


@dataclass(frozen=True)
class TagCategories:
    """Tags of a post by category, each sorted; its tags of no category are general ones."""

    artist: Tags = ()
    character: Tags = ()
    copyright: Tags = ()
    meta: Tags = ()


@dataclass(frozen=True)
class Post:
    """Metadata of one picture; `width` and `height` in pixels, `tags` sorted.

    `file_url` is empty where the site hides the file. `md5` is the announced hash (32 hex digits,
    or empty); `parent_id` is 0 without a parent. `score`, `favourites` and `tag_categories` are
    None where the site's answer has none. What comes from outside is cleaned and checked once, by
    `POST`.
    """

    id: Id
    width: Side
    height: Side
    file_url: Address
    md5: str
    rating: Line
    tags: Tags
    source: Line
    parent_id: Index
    score: Int64 | None = None
    favourites: Index | None = None
    tag_categories: TagCategories | None = None

    @property
    def extension(self) -> str:
        """File name extension, lower case without the dot; empty where there is none."""
        name = PurePosixPath(unquote(urlsplit(self.file_url).path)).name.lower()
        match = _EXTENSION.fullmatch(PurePosixPath(name).suffix)
        return match[1] if match else ""


POST = TypeAdapter(Post)
"""Makes a post of a mapping of its fields; cleans texts, and raises `ValidationError`."""


@dataclass(frozen=True)
class Malformed:
    """A record that is no post. `fault`: a field and what is wrong with it, empty if unknown."""

    id: int
    fault: str = field(default="", compare=False)


@dataclass(frozen=True)
class Page:
    """One page of a listing: `posts` by descending id, each id once.

    `malformed` holds the incomplete records; `nameless` counts records without an id. `order` has
    the ids of all records in the site's order.
    """

    posts: tuple[Post, ...] = ()
    malformed: tuple[Malformed, ...] = ()
    nameless: int = 0
    order: tuple[int, ...] = field(default=(), compare=False)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of all records, including malformed ones."""
        return tuple(record.id for record in self.records)

    @property
    def records(self) -> tuple[Post | Malformed, ...]:
        """All records, the malformed ones last."""
        return (*self.posts, *self.malformed)

    def below(self, post_id: int) -> "Page":
        """Return the page with only the records whose id is less than `post_id`."""
        return self._with_ids(lambda other: other < post_id)

    def without(self, post_id: int) -> "Page":
        """Return the page without the record with this id, which counts as nameless."""
        page = self._with_ids(lambda other: other != post_id)
        return replace(page, nameless=self.nameless + 1)

    def _with_ids(self, fits: Callable[[int], bool]) -> "Page":
        return Page(
            tuple(post for post in self.posts if fits(post.id)),
            tuple(record for record in self.malformed if fits(record.id)),
            self.nameless,
            tuple(filter(fits, self.order)),
        )


def parse_page(records: Iterable[object], site: str) -> Page:
    """Return the page of `records`, which are mappings with the API's own names.

    Relative file addresses are resolved against `site`. A record may have `favourites`,
    `tag_categories` (lists by the names of `TagCategories`) and, where the site hides the file on
    purpose, `is_hidden`. Raises nothing: a record that is no post is counted as malformed or
    nameless.
    """
    posts: dict[int, Post] = {}
    malformed: dict[int, Malformed] = {}
    order: list[int] = []
    nameless = 0
    for record in records:
        post_id = parse_int(record.get("id")) if isinstance(record, Mapping) else None
        if post_id is None or not 0 < post_id <= MAX_ID:
            nameless += 1
            continue
        assert isinstance(record, Mapping)
        order.append(post_id)
        post = _post(post_id, record, site)
        if isinstance(post, Malformed):
            malformed.setdefault(post_id, post)
        else:
            posts.setdefault(post_id, post)
    return Page(
        tuple(posts[post_id] for post_id in sorted(posts, reverse=True)),
        tuple(malformed[post_id] for post_id in sorted(malformed.keys() - posts, reverse=True)),
        nameless,
        tuple(order),
    )


def is_descending(ids: Sequence[int]) -> bool:
    """Return whether no id is larger than the one before it."""
    return all(first >= second for first, second in pairwise(ids))


def stray_id(ids: Sequence[int]) -> int | None:
    """Return the one id of `ids`, not descending, without which they are; None if more are amiss.

    Of two that stand in each other's place, the lower one.
    """
    at = next(at for at, (first, second) in enumerate(pairwise(ids)) if first < second)
    for stray in (at, at + 1):
        if is_descending([*ids[:stray], *ids[stray + 1 :]]):
            return ids[stray]
    return None


def parse_int(value: object) -> int | None:
    """Return an int of 64 bits, or the value of its digits; None for all else, as for a bool."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -MAX_ID <= value <= MAX_ID else None
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value):
        return int(value)
    return None


def _post(post_id: int, record: Mapping[str, object], site: str) -> Post | Malformed:
    """Return the post of a record, as malformed where a field is missing or out of bounds."""
    file_url = _file_url(record, site)
    md5 = _text(record.get("hash") or record.get("md5")).strip().lower()
    rating = _text(record.get("rating")).strip().lower()
    tags = _tags(record.get("tags"))
    if tags is None:
        return Malformed(post_id, "tags: neither a text nor lists of texts")
    if not (file_url or record.get("is_hidden")):
        text = "no http(s) address" if record.get("file_url") else "missing"
        return Malformed(post_id, f"file_url: {text}")
    try:
        return POST.validate_python(
            {
                "id": post_id,
                "width": parse_int(record.get("width")),
                "height": parse_int(record.get("height")),
                "file_url": file_url,
                "md5": md5 if _MD5.fullmatch(md5) else "",
                "rating": RATING_LETTERS.get(rating, rating),
                "tags": tuple(tags),
                "source": _text(record.get("source")),
                "parent_id": max(0, parse_int(record.get("parent_id")) or 0),
                "score": _signed_int(record.get("score")),
                "favourites": _favourites(record.get("favourites")),
                "tag_categories": _categories(record.get("tag_categories")),
            }
        )
    except ValidationError as error:
        return Malformed(post_id, _fault(error, record))


def _fault(error: ValidationError, record: Mapping[str, object]) -> str:
    """Return the first field of a record that was refused, and why, without its value."""
    details = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name, text = details["loc"][0], re.sub("^(Input|String|Value error,) ", "", details["msg"])
    if details["type"] == "int_type":
        text = "missing" if record.get(str(name)) is None else "no whole number"
    return f"{name}: {text}"


def _favourites(value: object) -> int | None:
    """Return a number of favourites; None for one that cannot be."""
    number = parse_int(value)
    return number if number is not None and number >= 0 else None


def _tags(value: object) -> set[str] | None:
    """Return the tags of a text, of a list, or of lists by category; None for anything else.

    A post whose tags cannot be read must not pass for one without `scrape.excluded_tags`.
    """
    if value is None:
        return set()
    if isinstance(value, str):
        return set(_text(value).split())
    if isinstance(value, Mapping):
        parts = [None if isinstance(part, Mapping) else _tags(part) for part in value.values()]
        return None if None in parts else {tag for part in parts if part for tag in part}
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return {"_".join(_text(tag).split()) for tag in value} - {""}
    return None


def _categories(value: object) -> dict[str, tuple[str, ...]] | None:
    """Return the fields of `TagCategories` from lists of tags by category."""
    if not isinstance(value, Mapping):
        return None
    names = [category.name for category in fields(TagCategories)]
    return {name: tuple(_tags(value.get(name)) or ()) for name in names}


def _signed_int(value: object) -> int | None:
    """Return an int of 64 bits or the value of its digits, which may have a minus."""
    if isinstance(value, str) and value.strip().startswith("-"):
        size = parse_int(value.strip()[1:])
        return None if size is None else -size
    return parse_int(value)


def _file_url(record: Mapping[str, object], site: str) -> str:
    base = f"{site}/"
    try:
        if address := _text(record.get("file_url")).strip():
            joined = urljoin(base, address)
            # Others, such as javascript: and data:, are no address of a file.
            return joined if urlsplit(joined).scheme in ("http", "https") else ""
        directory, image = record.get("directory"), _text(record.get("image"))
        folder = _text(directory) or str(parse_int(directory) or "")
        if folder and image:
            return urljoin(base, f"images/{quote(folder)}/{quote(image)}")
    except ValueError:
        pass
    return ""


def _text(value: object) -> str:
    """Return a text, unescaped once: forks escape texts in JSON for their web pages."""
    if not isinstance(value, str):
        return ""
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), value)
