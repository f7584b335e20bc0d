"""Parse the post API of a Gelbooru 0.2 site: JSON, XML, or an error in either."""

import codecs
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from pipeline.errors import PipelineError
from pipeline.scraping.posts import Page, parse_page

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_MAX_DIGITS = 20
# All but tab, line feed, form feed and carriage return.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class AnswerError(PipelineError):
    """A response is neither a page of posts nor an empty page."""


class BodyKind(Enum):
    """Format of a response body, by its first characters: the site's content types are wrong."""

    EMPTY = "empty"
    JSON = "JSON"
    XML = "XML"
    HTML = "a web page"
    OTHER = "something else"


def body_kind(body: bytes) -> BodyKind:
    """Return the format of a response body."""
    start = body[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start:
        return BodyKind.EMPTY
    if start.startswith((b"[", b"{", b"null", b'"')):
        return BodyKind.JSON
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<body")):
        return BodyKind.HTML
    if start.startswith((b"<?xml", b"<posts", b"<response", b"<error")):
        return BodyKind.XML
    return BodyKind.OTHER


def is_text(start: bytes) -> bool:
    """Return whether a body that begins with `start` is text, in UTF-8; False of an empty one."""
    try:
        # The last letter may be cut.
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return bool(text) and _NO_TEXT.search(start) is None


def parse_posts(body: bytes, site: str) -> Page:
    """Parse a response of the post API, in JSON or XML.

    Relative file addresses are resolved against `site`. Raises `AnswerError`, with the site's own
    reason where it gives one.
    """
    kind = body_kind(body)
    if kind is BodyKind.EMPTY:
        return Page()
    if kind is BodyKind.JSON:
        return parse_page(json_records(body), site)
    if kind is BodyKind.XML:
        return parse_page(_xml_records(body), site)
    text = body.decode("utf-8-sig", "replace")
    if kind is BodyKind.OTHER and "\ufffd" not in text:
        raise AnswerError(f"answered: {excerpt(text)}")
    raise AnswerError(f"answered with {kind.value} instead of posts")


def parse_html(body: bytes) -> "BeautifulSoup":
    """Parse HTML leniently; bytes that are no UTF-8 become replacement characters."""
    return _parse_markup(body)


def _parse_xml(body: bytes) -> "BeautifulSoup":
    """Parse XML as leniently: the site's is not always well formed."""
    from bs4 import XMLParsedAsHTMLWarning

    with warnings.catch_warnings():
        # The HTML parser reads it on purpose.
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        # In HTML `<source>` has no text.
        return _parse_markup(body, empty_element_tags=set())


def _parse_markup(body: bytes, **options: Any) -> "BeautifulSoup":
    # It takes memory that a listing in JSON does without.
    from bs4 import BeautifulSoup
    from bs4.exceptions import ParserRejectedMarkup

    text = body.decode("utf-8-sig", "replace")
    try:
        return BeautifulSoup(text, "html.parser", **options)
    except ParserRejectedMarkup:
        # A section of an unknown kind, `<![x]`, is all that the parser does not take.
        return BeautifulSoup(text.replace("<![", "&lt;!["), "html.parser", **options)


def json_records(body: bytes) -> list[object]:
    """Return the records in a response in JSON. Raises `AnswerError`."""
    try:
        answer = json.loads(
            body.decode("utf-8-sig", "replace"), parse_int=_parse_digits, strict=False
        )
        return _records(answer)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"answered with broken JSON ({error})") from None


def _parse_digits(digits: str) -> int | None:
    """Return the int of JSON's digits, None for so many that no field has them."""
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _records(answer: object) -> list[object]:
    """Return the post records of any of the shapes that the engine and its forks use."""
    if isinstance(answer, dict) and ("post" in answer or "@attributes" in answer):
        answer = answer.get("post")
    if answer is None:
        return []
    if isinstance(answer, list):
        return answer
    if isinstance(answer, str):
        raise AnswerError(f"answered: {excerpt(answer)}")
    if isinstance(answer, dict):
        if "id" in answer:
            return [answer]
        if reason := _reason(answer):
            raise AnswerError(f"refused the request: {reason}")
    raise AnswerError(f"answered with JSON that holds no posts: {excerpt(json.dumps(answer), 80)}")


def _xml_records(body: bytes) -> list[object]:
    """Return the attributes and child elements of each `<post>`; every value is a string."""
    tree = _parse_xml(body)
    if tree.find("posts"):
        posts = tree.find_all("post")
        # An answer that breaks off within a post's child elements may have cut one of them.
        if posts and posts[-1].find(True) and b"</posts>" not in body:
            posts.pop()
        return [_xml_record(post) for post in posts]
    response = tree.find("response")
    if response is not None and response.get("reason"):
        raise AnswerError(f"refused the request: {excerpt(str(response['reason']))}")
    raise AnswerError(f"answered with an error: {excerpt(tree.get_text(' ')) or 'no reason'}")


def _xml_record(post: "Tag") -> dict[str, object]:
    children = post.find_all(True, recursive=False)
    return {**post.attrs, **{child.name: child.get_text(" ") for child in children}}


def reason_for_refusal(body: bytes) -> str:
    """Return the reason that an error in JSON, XML or plain text gives, in one line.

    Empty where it gives none; of a web page, most of which is no reason, its title.
    """
    kind = body_kind(body)
    if kind is BodyKind.JSON:
        try:
            answer = json.loads(body)
            reason = _reason(answer) if isinstance(answer, dict) else ""
            return reason or excerpt(" ".join(strings(answer)))
        except (ValueError, RecursionError):
            return ""
    if kind is BodyKind.HTML:
        title = parse_html(body).title
        return "" if title is None else excerpt(title.get_text(" ", strip=True))
    if not is_text(body):
        return ""
    is_markup = body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    return _reason_in_markup(body) if is_markup else excerpt(body.decode("utf-8-sig", "replace"))


def _reason_in_markup(body: bytes) -> str:
    tree = _parse_xml(body)
    if tree.find("html"):
        return ""
    reasons = [tag.get("reason") or tag.get("message") for tag in tree.find_all(True)]
    texts = [str(reason) for reason in reasons if reason]
    return excerpt(" ".join(texts) or tree.get_text(" ", strip=True))


def _reason(answer: Mapping[str, object]) -> str:
    reason = answer.get("reason") or answer.get("message") or answer.get("error")
    return excerpt(" ".join(strings(reason)))


def strings(answer: object) -> Iterator[str]:
    """Yield the texts of an error in JSON: a string, or those in a list or an object."""
    if isinstance(answer, str):
        yield answer
    elif isinstance(answer, list | dict):
        for value in answer.values() if isinstance(answer, dict) else answer:
            yield from strings(value)


def excerpt(text: str, length: int = 200) -> str:
    """Return as `one_line` does the first `length` letters of a text, up to the end of a word.

    A part of a key would not be recognised as one.
    """
    line = one_line(text)
    if len(line) <= length:
        return line
    start, space, _ = line[: length + 1].rpartition(" ")
    return start if space else line[:length]


def one_line(text: str) -> str:
    """Return a text without what terminals obey or cannot show, in one line."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
