"""The text of a site's answers: in UTF-8, without what servers add to it."""

import re

# Those of web pages. Some other codecs of Python take hours, or are none of texts.
_ENCODING = re.compile(
    r"utf-?(16|32)[a-z-]*|iso-?(8859-\d+|2022-jp)|latin-?1|(windows-|cp)\d+|koi8-[ru]|shift[-_]?jis"
    r"|euc-?(jp|kr)|gb(k|2312|18030)|big5",
    re.IGNORECASE,
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
# A server that is set up for developers sends them before what it was asked for.
_NOTICES = re.compile(
    rb"(\s*<br />\s*<b>(notice|warning|deprecated)</b>:.{1,2000}?<br />)+\s*",
    re.DOTALL | re.IGNORECASE,
)


def as_utf8(body: bytes, content_type: str) -> bytes:
    """Return a body in UTF-8; as it is where it names no other encoding, nor does its header.

    Servers name encodings that are not those of their texts, so that names count only where most
    letters outside of ASCII are no UTF-8.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        encoding = None if _is_mostly_utf8(body) else _named_encoding(body, content_type)
        return body if encoding is None else body.decode(encoding, "replace").encode()
    return body


def without_additions(body: bytes) -> bytes:
    """Return a body without PHP's notices before it, and a comment after it."""
    notices = _NOTICES.match(body)
    start, end = notices.end() if notices else 0, len(body)
    if body.rstrip().endswith(b"-->"):
        end = body.rfind(b"<!--")
    return body[start:end] if start <= end else body


def _is_mostly_utf8(body: bytes) -> bool:
    letters = [letter for letter in body.decode("utf-8", "replace") if not letter.isascii()]
    return letters.count("\N{REPLACEMENT CHARACTER}") <= len(letters) / 2


def _named_encoding(body: bytes, content_type: str) -> str | None:
    """Return the encoding that a byte order mark, the body or its header names."""
    # It takes memory that most listings do without.
    from bs4.dammit import EncodingDetector

    _, marked = EncodingDetector.strip_byte_order_mark(body)
    if marked is not None:
        # With its mark, which this one takes away.
        return marked.removesuffix("le").removesuffix("be")
    header = _CHARSET.search(content_type)
    declared = EncodingDetector.find_declared_encoding(body, is_html=True)
    names = (declared, header[1] if header else None)
    return next((name for name in names if name and _ENCODING.fullmatch(name)), None)
