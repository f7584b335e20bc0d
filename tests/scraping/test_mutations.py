"""Damaged responses and pictures: each ends soon, in a named error or a valid result.

`pytest tests/scraping/test_mutations.py --hypothesis-profile thorough` tries ten thousand of each.
"""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

from pipeline.scraping import danbooru_pages, danbooru_records
from pipeline.scraping.api_parsing import AnswerError, parse_posts
from pipeline.scraping.download import check_picture
from pipeline.scraping.fetch_errors import FetchError
from pipeline.scraping.html_listing import listed_ids, parse_view
from pipeline.scraping.posts import Page, Post
from tests.mutations import mutations
from tests.scraping.test_api_parsing import NEW, POST, SITE, XML
from tests.scraping.test_danbooru import RECORD
from tests.scraping.test_danbooru_pages import VIEW as DANBOORU_VIEW
from tests.scraping.test_html_listing import HEAD, PAGER, THUMB, VIEW

JSON = json.dumps([NEW, NEW | {"id": 5}]).encode()
DANBOORU_JSON = json.dumps([RECORD, RECORD | {"id": 5}]).encode()
LIST = (HEAD + "".join(THUMB.format(number) for number in range(9)) + PAGER).encode()
thorough = settings(deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(call: Callable[..., object], *arguments: object) -> object:
    """What `call` returns, or the error that it names."""
    try:
        return call(*arguments)
    except (AnswerError, FetchError) as error:
        found = error
    assert len(str(found).splitlines()) == 1
    return found


def check_page(page: object, *, files: bool = True) -> None:
    """Check a valid page; with `files` the posts have addresses of files."""
    if isinstance(page, AnswerError):
        return
    assert isinstance(page, Page)
    assert all(post.width > 0 and post.height > 0 for post in page.posts)
    assert not files or all(post.file_url for post in page.posts)
    assert len(set(page.ids)) == len(page.ids)
    assert all(0 < number < 2**63 for number in page.ids)


@thorough
@given(mutations(JSON))
def test_json(body: bytes) -> None:
    check_page(outcome(parse_posts, body, SITE))


@thorough
@given(mutations(DANBOORU_JSON))
def test_json_of_danbooru(body: bytes) -> None:
    check_page(outcome(danbooru_records.parse_posts, body, SITE), files=False)


@thorough
@given(mutations(DANBOORU_VIEW.encode()))
def test_view_pages_of_danbooru(body: bytes) -> None:
    page = outcome(danbooru_pages.parse_view, body, 294929, SITE)
    check_page(page, files=False)
    assert isinstance(page, AnswerError) or page.ids == (294929,)  # type: ignore[attr-defined]


@thorough
@given(mutations(XML))
def test_xml(body: bytes) -> None:
    check_page(outcome(parse_posts, body, SITE))


@thorough
@given(mutations(LIST))
def test_list_pages(body: bytes) -> None:
    ids = outcome(listed_ids, body)
    assert isinstance(ids, AnswerError) or (isinstance(ids, list) and len(set(ids)) == len(ids))


@thorough
@given(mutations(VIEW.encode()))
def test_view_pages(body: bytes) -> None:
    page = outcome(parse_view, body, 3568555, SITE)
    check_page(page)
    assert isinstance(page, AnswerError) or page.ids == (3568555,)  # type: ignore[attr-defined]


def files() -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    image = Image.fromarray(pixels)
    found = {}
    for kind in ("PNG", "JPEG", "WEBP", "GIF"):
        file = io.BytesIO()
        image.save(file, kind)
        found[kind] = file.getvalue()
    return found


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pictures(kind: str, tmp_path: Path) -> None:
    post = replace(POST, width=32, height=24)

    @thorough
    @given(mutations(files()[kind]))
    def check(body: bytes) -> None:
        part = tmp_path / "part"
        part.write_bytes(body)
        error = outcome(check_picture, post, part, hashlib.md5(body).hexdigest())
        if isinstance(error, FetchError):
            assert error.reason in ("undecodable", "size")
            assert not part.exists()
        else:
            with Image.open(part) as image:
                assert image.size == (32, 24)

    check()


def test_the_originals_are_valid(tmp_path: Path) -> None:
    """What is mutated above would pass as it is."""
    check_page(parse_posts(JSON, SITE))
    assert parse_posts(XML, SITE) == Page((POST,))
    assert listed_ids(LIST) == list(range(1, 9))
    assert isinstance(parse_view(VIEW.encode(), 3568555, SITE).posts[0], Post)
    for kind, body in files().items():
        (tmp_path / kind).write_bytes(body)
        check_picture(replace(POST, width=32, height=24), tmp_path / kind, "")
