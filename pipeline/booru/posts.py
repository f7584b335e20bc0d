"""Posts of a Gelbooru 0.2 site, and what its API may answer instead of them."""

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit

from pipeline.errors import PipelineError

# The site's older records and its XML abbreviate.
RATING_LETTERS = {"g": "general", "s": "safe", "q": "questionable", "e": "explicit"}
RATINGS = frozenset({"general", "safe", "sensitive", "questionable", "explicit"})

_MAX_ID = 2**63 - 1
_EXTENSION = re.compile(r"\.([a-z0-9]{1,8})")
_REASON = re.compile(r"""\breason\s*=\s*(?:"([^"]*)"|'([^']*)')""")


class AnswerError(PipelineError):
    """An API answer holds no posts and is no empty page either."""


class Kind(Enum):
    """What a body is, told by how it starts: the site's content types are no guide."""

    EMPTY = "empty"
    JSON = "JSON"
    XML = "XML"
    HTML = "a web page"
    OTHER = "something else"


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
    """One API answer: `posts` by descending id, each id once.

    `malformed` are the ids of records that are no whole post; `nameless` records have no id.
    """

    posts: tuple[Post, ...] = ()
    malformed: tuple[int, ...] = ()
    nameless: int = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of all records, malformed ones too."""
        return tuple(post.id for post in self.posts) + self.malformed


def body_kind(body: bytes) -> Kind:
    """Classify an answer by its first characters."""
    start = body[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start:
        return Kind.EMPTY
    if start.startswith((b"[", b"{", b"null")):
        return Kind.JSON
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<body")):
        return Kind.HTML
    if start.startswith((b"<?xml", b"<posts", b"<response", b"<error")):
        return Kind.XML
    return Kind.OTHER


def parse_posts(body: bytes, site: str) -> Page:
    """Read the answer to a request for posts as JSON.

    `site` is the address that relative file addresses belong to. Raises `AnswerError` with the
    site's own reason where it gives one.
    """
    kind = body_kind(body)
    if kind is Kind.EMPTY:
        return Page()
    if kind is Kind.XML:
        raise AnswerError(_xml_problem(body))
    if kind is not Kind.JSON:
        raise AnswerError(f"answered with {kind.value} instead of JSON")
    try:
        answer = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"answered with broken JSON ({error})") from None
    return _page(_records(answer), site)


def _xml_problem(body: bytes) -> str:
    text = body[:4096].decode("utf-8", "replace")
    reason = _REASON.search(text)
    if reason:
        return f"refused the request: {html.unescape(reason[1] or reason[2] or 'no reason given')}"
    if "<posts" in text:
        return "answered in XML although JSON was asked for"
    return f"answered with an error: {' '.join(re.sub('<[^>]*>', ' ', text).split())[:200]}"


def _records(answer: object) -> list[object]:
    """The post records in any of the shapes that the engine and its forks answer in."""
    if answer is None:
        return []
    if isinstance(answer, list):
        return answer
    if isinstance(answer, dict):
        if "post" in answer or "@attributes" in answer:
            inner = answer.get("post", [])
            return inner if isinstance(inner, list) else _records(inner)
        if "id" in answer:
            return [answer]
        if reason := answer.get("reason") or answer.get("message") or answer.get("error"):
            raise AnswerError(f"refused the request: {reason}")
    raise AnswerError(f"answered with JSON that holds no posts: {json.dumps(answer)[:80]}")


def _page(records: Iterable[object], site: str) -> Page:
    posts: dict[int, Post] = {}
    malformed: set[int] = set()
    nameless = 0
    for record in records:
        number = _integer(record.get("id")) if isinstance(record, Mapping) else None
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


def _post(number: int, record: Mapping[str, object], site: str) -> Post | None:
    width, height = _integer(record.get("width")), _integer(record.get("height"))
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
        parent_id=_integer(record.get("parent_id")) or 0,
    )


def _file_url(record: Mapping[str, object], site: str) -> str:
    base = site.rstrip("/") + "/"
    try:
        if given := _text(record.get("file_url")).strip():
            return urljoin(base, given)
        directory, image = record.get("directory"), _text(record.get("image"))
        folder = _text(directory) or str(_integer(directory) or "")
        if folder and image:
            return urljoin(base, f"images/{quote(folder)}/{quote(image)}")
    except ValueError:
        pass
    return ""


def _integer(value: object) -> int | None:
    """An int, or the digits of one; None for all else. A bool is no number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value):
        return int(value)
    return None


def _text(value: object) -> str:
    """A str that can be written as UTF-8; JSON may smuggle half a surrogate pair in."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
