"""What a Gelbooru 0.2 site tells of a picture, whatever form it tells it in."""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit

# The site's older records and its XML abbreviate.
RATING_LETTERS = {"g": "general", "s": "safe", "q": "questionable", "e": "explicit"}
RATINGS = frozenset({"general", "safe", "sensitive", "questionable", "explicit"})

_MAX_ID = 2**63 - 1
_EXTENSION = re.compile(r"\.([a-z0-9]{1,8})")


@dataclass(frozen=True)
class Post:
    """What a site says of one picture; `width` and `height` are pixels, `tags` are sorted.

    `md5` is the hash that the site announces (32 hex digits, or empty), `parent_id` 0 for none.
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

    @property
    def extension(self) -> str:
        """Ending of the file's name, lower case without the dot; empty where there is none."""
        name = PurePosixPath(unquote(urlsplit(self.file_url).path)).name.lower()
        found = _EXTENSION.fullmatch(PurePosixPath(name).suffix)
        return found[1] if found else ""


@dataclass(frozen=True)
class Page:
    """Part of a listing: `posts` by descending id, each id once.

    `malformed` are the ids of records that are no whole post; `nameless` records have no id.
    """

    posts: tuple[Post, ...] = ()
    malformed: tuple[int, ...] = ()
    nameless: int = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of all records, malformed ones too."""
        return tuple(post.id for post in self.posts) + self.malformed

    def below(self, number: int) -> "Page":
        """The records with smaller ids."""
        return Page(
            tuple(post for post in self.posts if post.id < number),
            tuple(other for other in self.malformed if other < number),
            self.nameless,
        )


def page_of(records: Iterable[object], site: str) -> Page:
    """Records, each a mapping in the API's own names, as a page.

    `site` is the address that relative file addresses belong to. Nothing is too odd: what is no
    post is counted as malformed or nameless.
    """
    posts: dict[int, Post] = {}
    malformed: set[int] = set()
    nameless = 0
    for record in records:
        number = integer(record.get("id")) if isinstance(record, Mapping) else None
        if number is None or not 0 < number <= _MAX_ID:
            nameless += 1
            continue
        assert isinstance(record, Mapping)
        post = _post(number, record, site)
        if post is None:
            malformed.add(number)
        else:
            posts.setdefault(number, post)
    return Page(
        tuple(posts[number] for number in sorted(posts, reverse=True)),
        tuple(sorted(malformed - posts.keys(), reverse=True)),
        nameless,
    )


def integer(value: object) -> int | None:
    """An int, or the digits of one; None for all else. A bool is no number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value):
        return int(value)
    return None


def _post(number: int, record: Mapping[str, object], site: str) -> Post | None:
    width, height = integer(record.get("width")), integer(record.get("height"))
    file_url = _file_url(record, site)
    if not width or not height or min(width, height) < 1 or not file_url:
        return None
    rating = _text(record.get("rating")).strip().lower()
    tags = {html.unescape(tag) for tag in _text(record.get("tags")).split()}
    return Post(
        id=number,
        width=width,
        height=height,
        file_url=file_url,
        md5=_text(record.get("hash") or record.get("md5")).strip().lower(),
        rating=RATING_LETTERS.get(rating, rating),
        tags=tuple(sorted(tags)),
        source=_text(record.get("source")),
        parent_id=integer(record.get("parent_id")) or 0,
    )


def _file_url(record: Mapping[str, object], site: str) -> str:
    base = site.rstrip("/") + "/"
    try:
        if given := _text(record.get("file_url")).strip():
            return urljoin(base, given)
        directory, image = record.get("directory"), _text(record.get("image"))
        folder = _text(directory) or str(integer(directory) or "")
        if folder and image:
            return urljoin(base, f"images/{quote(folder)}/{quote(image)}")
    except ValueError:
        pass
    return ""


def _text(value: object) -> str:
    """A str that can be written as UTF-8; JSON may smuggle half a surrogate pair in."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
