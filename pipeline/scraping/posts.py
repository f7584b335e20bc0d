"""Posts of a site, built from records with the names of the API of Gelbooru 0.2."""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit

# Older records and the XML abbreviate ratings.
RATING_LETTERS = {"g": "general", "s": "safe", "q": "questionable", "e": "explicit"}
RATINGS = frozenset({"general", "safe", "sensitive", "questionable", "explicit"})

# SQLite and numpy hold ids in signed 64 bits.
MAX_ID = 2**63 - 1

_EXTENSION = re.compile(r"\.([a-z0-9]{1,8})")


@dataclass(frozen=True)
class TagCategories:
    """Tags of a post by category, each sorted; its tags of no category are general ones."""

    artist: tuple[str, ...] = ()
    character: tuple[str, ...] = ()
    copyright: tuple[str, ...] = ()
    meta: tuple[str, ...] = ()


@dataclass(frozen=True)
class Post:
    """Metadata of one picture; `width` and `height` in pixels, `tags` sorted.

    `file_url` is empty where the site hides the file. `md5` is the announced hash (32 hex digits,
    or empty); `parent_id` is 0 without a parent. `score`, `favourites` and `tag_categories` are
    None where the site's answer has none.
    """

    id: int
    width: int
    height: int
    file_url: str
    md5: str
    rating: str
    tags: tuple[str, ...]
    source: str
    parent_id: int
    score: int | None = None
    favourites: int | None = None
    tag_categories: TagCategories | None = None

    @property
    def extension(self) -> str:
        """File name extension, lower case without the dot; empty where there is none."""
        name = PurePosixPath(unquote(urlsplit(self.file_url).path)).name.lower()
        match = _EXTENSION.fullmatch(PurePosixPath(name).suffix)
        return match[1] if match else ""


@dataclass(frozen=True)
class Page:
    """One page of a listing: `posts` by descending id, each id once.

    `malformed` holds the ids of incomplete records; `nameless` counts records without an id.
    """

    posts: tuple[Post, ...] = ()
    malformed: tuple[int, ...] = ()
    nameless: int = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of all records, including malformed ones."""
        return tuple(post.id for post in self.posts) + self.malformed

    def below(self, post_id: int) -> "Page":
        """Return the page with only the records whose id is less than `post_id`."""
        return Page(
            tuple(post for post in self.posts if post.id < post_id),
            tuple(other for other in self.malformed if other < post_id),
            self.nameless,
        )


def parse_page(records: Iterable[object], site: str) -> Page:
    """Return the page of `records`, which are mappings with the API's own names.

    Relative file addresses are resolved against `site`. Tags in one text are unescaped; a list of
    tags is taken as it is. A record may have `favourites`, `tag_categories` (lists by the names of
    `TagCategories`) and, where the site hides the file on purpose, `is_hidden`. Raises nothing: a
    record that is no post is counted as malformed or nameless.
    """
    posts: dict[int, Post] = {}
    malformed: set[int] = set()
    nameless = 0
    for record in records:
        post_id = parse_int(record.get("id")) if isinstance(record, Mapping) else None
        if post_id is None or not 0 < post_id <= MAX_ID:
            nameless += 1
            continue
        assert isinstance(record, Mapping)
        post = _post(post_id, record, site)
        if post is None:
            malformed.add(post_id)
        else:
            posts.setdefault(post_id, post)
    return Page(
        tuple(posts[post_id] for post_id in sorted(posts, reverse=True)),
        tuple(sorted(malformed - posts.keys(), reverse=True)),
        nameless,
    )


def parse_int(value: object) -> int | None:
    """Return an int of 64 bits, or the value of its digits; None for all else, as for a bool."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -MAX_ID <= value <= MAX_ID else None
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value):
        return int(value)
    return None


def _post(post_id: int, record: Mapping[str, object], site: str) -> Post | None:
    width, height = parse_int(record.get("width")), parse_int(record.get("height"))
    file_url = _file_url(record, site)
    if not width or not height or min(width, height) < 1:
        return None
    if not file_url and not record.get("is_hidden"):
        return None
    rating = _text(record.get("rating")).strip().lower()
    return Post(
        id=post_id,
        width=width,
        height=height,
        file_url=file_url,
        md5=_text(record.get("hash") or record.get("md5")).strip().lower(),
        rating=RATING_LETTERS.get(rating, rating),
        tags=_tags(record.get("tags")),
        source=_text(record.get("source")),
        parent_id=parse_int(record.get("parent_id")) or 0,
        score=_signed_int(record.get("score")),
        favourites=parse_int(record.get("favourites")),
        tag_categories=_categories(record.get("tag_categories")),
    )


def _categories(value: object) -> TagCategories | None:
    if not isinstance(value, Mapping):
        return None
    return TagCategories(
        **{category.name: _tags(value.get(category.name)) for category in fields(TagCategories)}
    )


def _tags(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(sorted({_text(tag) for tag in value}))
    return tuple(sorted({html.unescape(tag) for tag in _text(value).split()}))


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
            return urljoin(base, address)
        directory, image = record.get("directory"), _text(record.get("image"))
        folder = _text(directory) or str(parse_int(directory) or "")
        if folder and image:
            return urljoin(base, f"images/{quote(folder)}/{quote(image)}")
    except ValueError:
        pass
    return ""


def _text(value: object) -> str:
    """Return a str that can be encoded as UTF-8: JSON may hold half a surrogate pair."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
