"""Encodings of answers, and what servers add to them."""

import pytest

from pipeline.scraping.answer_text import as_utf8, without_additions

TEXT = '<meta charset="{}">ポケモン é'


@pytest.mark.parametrize("encoding", ["shift_jis", "EUC-JP", "gb18030", "utf-8"])
def test_an_encoding_that_the_text_names(encoding: str) -> None:
    text = TEXT.format(encoding).removesuffix(" é")
    assert as_utf8(text.encode(encoding), "text/html; charset=koi8-r").decode() == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark(encoding: str) -> None:
    assert as_utf8(TEXT.encode(encoding), "").decode() == TEXT


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        # Nothing, what is no encoding of texts, and one that takes the time of a square.
        (b"\xe9", ""),
        (b"\xe9", "text/xml; charset=none"),
        (b"\xe9", "text/xml; charset=hex"),
        (b"\xe9", "text/xml; charset=punycode"),
        # UTF-8 with a damaged letter, from a server that names another for all texts.
        ("ポケモン".encode()[:-1], "text/html; charset=ISO-8859-1"),
    ],
)
def test_what_stays_as_it_is(body: bytes, content_type: str) -> None:
    assert as_utf8(body, content_type) == body


@pytest.mark.parametrize("body", [b"<!-- a", b"-->", b"<br />\n<b>Warning</b>: -->", b"", b"[]"])
def test_what_is_no_addition(body: bytes) -> None:
    assert without_additions(body) == body
