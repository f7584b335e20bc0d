"""What the API of a Gelbooru 0.2 site answers: posts in JSON or XML, or something else instead."""

import json
import re
import warnings
from enum import Enum

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning

from pipeline.errors import PipelineError
from pipeline.scraping.posts import Page, page_of


class AnswerError(PipelineError):
    """An answer holds no posts and is no empty page either."""


class Kind(Enum):
    """What a body is, told by how it starts: the site's content types are no guide."""

    EMPTY = "empty"
    JSON = "JSON"
    XML = "XML"
    HTML = "a web page"
    OTHER = "something else"


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
    """Read an answer of the post API, in the form that it came in.

    `site` is the address that relative file addresses belong to. Raises `AnswerError` with the
    site's own reason where it gives one.
    """
    kind = body_kind(body)
    if kind is Kind.EMPTY:
        return Page()
    if kind is Kind.JSON:
        return page_of(_json_records(body), site)
    if kind is Kind.XML:
        return page_of(_xml_records(body), site)
    raise AnswerError(f"answered with {kind.value} instead of posts")


def parse_html(body: bytes) -> BeautifulSoup:
    """Markup of any quality as a tree; text that is no UTF-8 gets replacement characters."""
    with warnings.catch_warnings():
        # The site's XML is not always well formed: a lenient parser is meant.
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        return BeautifulSoup(body.decode("utf-8-sig", "replace"), "html.parser")


def _json_records(body: bytes) -> list[object]:
    try:
        answer = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"answered with broken JSON ({error})") from None
    return _records(answer)


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
            raise AnswerError(f"refused the request: {_one_line(str(reason))}")
    raise AnswerError(f"answered with JSON that holds no posts: {json.dumps(answer)[:80]}")


def _xml_records(body: bytes) -> list[object]:
    """The attributes of each `<post/>`; every value is a string."""
    tree = parse_html(body)
    if tree.find("posts"):
        return [post.attrs for post in tree.find_all("post")]
    response = tree.find("response")
    if response is not None and response.get("reason"):
        raise AnswerError(f"refused the request: {_one_line(str(response['reason']))}")
    raise AnswerError(f"answered with an error: {_one_line(tree.get_text(' ')) or 'no reason'}")


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:200]
