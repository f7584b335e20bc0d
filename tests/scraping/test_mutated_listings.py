"""Mutated answers of a site, in every form: posts, counted odd records, or an error of one line.

What is made of them goes on to the files of later stages and is read back, equal.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.images.records import POST as RAW_POST
from pipeline.manifest.rows import Row, read_manifest, write_manifest
from pipeline.params import ScrapeParams
from pipeline.scraping.api_parsing import AnswerError, parse_posts
from pipeline.scraping.databases import file_key
from pipeline.scraping.html_listing import listed_ids, parse_view
from pipeline.scraping.posts import POST, Malformed, Page, Post
from pipeline.scraping.selection import rejection_reason
from tests.mutations import TOKENS
from tests.scraping.test_api_parsing import CHILDREN, NEW, SITE, XML
from tests.scraping.test_html_listing import HEAD, PAGER, THUMB, VIEW

COUNTS = pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.long)])
LIST = HEAD + "".join(THUMB.format(number) for number in range(1, 9)) + PAGER
PARAMS = ScrapeParams(tags=("1girl", "s*"), excluded_tags=("*_focus", "comic"))
VALUES: list[object] = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**70,
    10**400,
    1e308,
    float("nan"),
    "",
    "9" * 401,
    "٣٤",
    "²",
    "-1",
    "a\rb",
    "a\r\nb\u2028c\x85d\0",
    "\ud800 \udfff",
    "&#13;&#xD800;&amp;amp;",
    "<script>alert(1)</script>",
    "http://[bad/x.png",
    "//℀.test/x.png",
    "javascript:alert(1)",
    "x" * 200_000,
    "a " * 100_000,
    [],
    ["1girl", "a b", "\r", ""],
    [["x"], 7],
    {"general": ["1girl"], "meta": "lowres"},
    {"general": {"deep": {}}},
]


def with_odd_values(record: dict[str, object], rng: random.Random) -> dict[str, object]:
    """`record` with up to three fields replaced, removed or added."""
    changed = dict(record)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice([*record, "md5", "extra"])
        if rng.random() < 0.1:
            changed.pop(name, None)
        else:
            changed[name] = rng.choice(VALUES)
    return changed


def with_odd_bytes(body: bytes, rng: random.Random) -> bytes:
    """`body` with up to four pieces replaced, repeated or cut."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(body) + 1)
        end = min(len(body), start + rng.randint(0, 40))
        piece = rng.choice([*TOKENS, rng.randbytes(4), body[start:end] * 2, b"\r", b"&#13;"])
        body = body[:start] + piece + (b"" if rng.random() < 0.05 else body[end:])
    return body


def json_answer(rng: random.Random) -> bytes:
    records: list[object] = [with_odd_values(NEW, rng), NEW | {"id": rng.choice([5, 10**7])}]
    if rng.random() < 0.5:
        records.insert(rng.randint(0, 2), rng.choice(VALUES))
    body = json.dumps(
        rng.choice([records, {"post": records}, {"@attributes": {}, "post": records}])
    )
    data = body.encode()
    return with_odd_bytes(data, rng) if rng.random() < 0.5 else data


def xml_answer(rng: random.Random) -> bytes:
    return with_odd_bytes(rng.choice([XML, CHILDREN]), rng)


def outcome(call: Callable[[], Page]) -> Page | None:
    """What `call` returns; None for an error, of one line."""
    try:
        return call()
    except AnswerError as error:
        message = str(error)
    assert len(message.splitlines()) == 1
    assert len(message) < 400
    return None


def check_post(post: Post) -> Row:
    """Check that a post survives the store and a raw set; return its row of a manifest."""
    assert rejection_reason(post, PARAMS) in (None, *ScrapeParams.model_fields)
    assert post.extension == post.extension.strip(".").lower()
    assert file_key(post.file_url)
    assert POST.validate_python(json.loads(json.dumps(asdict(post)))) == post
    record = asdict(post) | {"file": "1.png", "sha256": "", "post_url": SITE}
    raw = RAW_POST.validate_json(json.dumps(record))
    kept = (raw.id, raw.parent_id, raw.rating, raw.tags, raw.source)
    assert kept == (post.id, post.parent_id, post.rating, post.tags, post.source)
    return Row(
        *(post.id, 0, "shard.tar", 0, 1, "train", "", "0" * 16, post.width, post.height, "PNG"),
        *(1.0, (0, 0, 1, 1), raw.rating, raw.tags, raw.post_url, raw.source),
    )


def check_pages(pages: list[Page | None], folder: Path) -> Counter[str]:
    """Check all posts of `pages` and the manifest of them; return how often each outcome came."""
    found = Counter[str]()
    rows: list[Row] = []
    for page in pages:
        found["refused"] += page is None
        if page is not None:
            assert len(set(page.ids)) == len(page.ids)
            assert all(0 < number < 2**63 for number in page.ids)
            rows += map(check_post, page.posts)
            found["odd records"] += len(page.malformed) + page.nameless
    different = list({row.id: replace(row, sha256=f"{row.id:x}") for row in rows}.values())
    write_manifest(folder / "manifest.csv", different)
    assert read_manifest(folder / "manifest.csv") == different
    return found + Counter({"posts": len(rows)})


@COUNTS
@pytest.mark.parametrize("make", [json_answer, xml_answer])
def test_api(make: Callable[[random.Random], bytes], count: int, tmp_path: Path) -> None:
    rng = random.Random(7)
    bodies = [make(rng) for _ in range(count)]
    pages = [outcome(lambda body=body: parse_posts(body, SITE)) for body in bodies]  # type: ignore[misc]
    found = check_pages(pages, tmp_path)
    assert all(found[kind] > count / 50 for kind in ("refused", "odd records", "posts")), found


@COUNTS
def test_list_pages(count: int) -> None:
    rng = random.Random(7)
    found = Counter[str]()
    for _ in range(count):
        body = with_odd_bytes(LIST.encode(), rng)
        page = outcome(lambda body=body: Page(malformed=tuple(map(Malformed, listed_ids(body)))))  # type: ignore[misc]
        found["refused" if page is None else "listed"] += 1
        if page is not None:
            assert len(set(page.ids)) == len(page.ids)
            assert all(0 < number < 2**63 for number in page.ids)
    assert found["listed"] > count / 2


@COUNTS
def test_view_pages(count: int, tmp_path: Path) -> None:
    rng = random.Random(7)
    bodies = [with_odd_bytes(VIEW.encode(), rng) for _ in range(count)]
    pages = [outcome(lambda body=body: parse_view(body, 3568555, SITE)) for body in bodies]  # type: ignore[misc]
    assert all(page is None or page.ids == (3568555,) for page in pages)
    found = check_pages(pages, tmp_path)
    assert all(found[kind] for kind in ("refused", "odd records", "posts")), found
