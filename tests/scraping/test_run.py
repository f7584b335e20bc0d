"""The whole scrape over real HTTP: the exact set, faults, and what a next run does."""

import errno
import hashlib
import io
import json
import os
import re
import socket
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from PIL import Image, PngImagePlugin

from pipeline.booru.app import Site as BooruSite
from pipeline.booru.fault_injection import FAULTS
from pipeline.errors import PipelineError, UsageError
from pipeline.images.collection import collect_folder
from pipeline.images.records import POSTS_FILE, read_posts
from pipeline.params import ScrapeParams
from pipeline.scraping import sites
from pipeline.scraping.download import check_picture
from pipeline.scraping.dry_run import Plan
from pipeline.scraping.fetch_errors import ChallengeError, FetchError, KeyRequiredError
from pipeline.scraping.posts import Post
from pipeline.scraping.previous_sets import PreviousSets
from pipeline.scraping.run import ScrapeReport, plan, scrape
from pipeline.scraping.sites import Site
from pipeline.scraping.store import Store
from pipeline.wsgi import Server
from tests.scraping.site import (
    CHALLENGE,
    PAGE,
    Fault,
    Handler,
    ScriptedSite,
    answer,
    chunked,
    dripping,
    dropped,
    overstated,
    picture,
    rot,
    stalled,
    truncated,
)


class Notes:
    """A progress that records its messages, and the last figures of each task."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.last: dict[str, tuple[int, dict[str, object]]] = {}
        self._label = ""

    def start(self, label: str, total: int | None, unit: str) -> None:
        self._label = label

    def update(self, done: int, **figures: object) -> None:
        self.last[self._label] = (done, figures)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def finish(self) -> None:
        pass


def run(
    folder: Path,
    url: str,
    notes: Notes | None = None,
    *,
    retry_failed: bool = False,
    refresh: bool = False,
    previous: PreviousSets = PreviousSets(),
    **values: object,
) -> ScrapeReport:
    """Scrape into `folder` without pauses, small pictures allowed."""
    quick = {"api_interval": 0.0, "file_interval": 0.0, "min_side": 8, "limit": 5, "retries": 1}
    return scrape(
        ScrapeParams(**({"site": url} | quick | values)),  # type: ignore[arg-type]
        folder / "store",
        folder / "raw",
        folder / "scrape.json",
        notes or Notes(),
        retry_failed=retry_failed,
        refresh=refresh,
        previous=previous,
    )


def ids(folder: Path) -> list[int]:
    """Return the posts of the set; check that the folder holds their files and nothing else."""
    lines = [json.loads(line) for line in (folder / "raw" / POSTS_FILE).open()]
    names = {path.name for path in (folder / "raw").iterdir()}
    assert names == {POSTS_FILE, *(line["file"] for line in lines)}
    for line in lines:
        body = (folder / "raw" / line["file"]).read_bytes()
        assert len(body) == line["bytes"]
        assert hashlib.sha256(body).hexdigest() == line["sha256"]
    return [line["id"] for line in lines]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "raw").iterdir()}


def cut_jpeg() -> bytes:
    """A JPEG of the right size whose lower half is missing, with an end marker."""
    data = picture(1, kind="JPEG")
    start = data.index(b"\xff\xda")
    return data[: (start + len(data)) // 2] + b"\xff\xd9"


def test_the_newest_posts_with_their_metadata(tmp_path: Path) -> None:
    site, notes = ScriptedSite(9), Notes()
    site.posts[0] |= {"tags": "b a&amp;b", "source": "え\u2028b", "parent_id": "4", "rating": "s"}
    site.posts[0]["score"] = "-2"
    site.posts[1]["hash"] = "0" * 32
    with site.serve() as url:
        report = run(tmp_path, url + "/", notes, md5="keep")
    assert ids(tmp_path) == [9, 8, 7, 6, 5]
    body = site.files["/images/1/9.png"]
    first, second = (tmp_path / "raw" / POSTS_FILE).read_text().split("\n")[:2]
    expected = {
        "id": 9,
        "file": "9.png",
        "width": 40,
        "height": 32,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "md5_matches": True,
        "rating": "safe",
        "tags": ["a&b", "b"],
        "source": "え b",
        "parent_id": 4,
        "score": -2,
        "favourites": None,
        "tag_categories": None,
        "post_url": f"{url}/index.php?page=post&s=view&id=9",
        "file_url": f"{url}/images/1/9.png",
    }
    assert json.loads(first) == expected
    assert list(json.loads(first)) == sorted(expected)
    assert json.loads(second)["md5_matches"] is False
    size = sum(path.stat().st_size for path in (tmp_path / "raw").glob("*.png"))
    assert report == ScrapeReport(5, 5, size, 1, {}, {}, 9)
    assert json.loads((tmp_path / "scrape.json").read_text()) == {
        "accepted": 5,
        "listed": 5,
        "bytes": size,
        "md5_mismatches": 1,
        "rejected": {},
        "failed": {},
        "until": 9,
    }
    assert notes.last == {
        "scrape": (5, {"MB": size / 1e6, "rejected": 0, "failed": 0}),
        "writing the set": (5, {}),
    }


@pytest.mark.parametrize("page_size", [1, 3, 1000])
@pytest.mark.parametrize("workers", [1, 4])
def test_the_set_does_not_depend_on_pages_or_threads(
    tmp_path: Path, page_size: int, workers: int
) -> None:
    site = ScriptedSite(15)
    site.page_size = page_size
    for post in site.posts[::3]:
        post["rating"] = "explicit"
    site.faults["/images/1/13.png"] = [answer(404)]
    with site.serve() as url:
        report = run(tmp_path, url, limit=7, workers=workers)
    assert ids(tmp_path) == [14, 11, 10, 8, 7, 5, 4]
    assert (report.listed, report.rejected, report.failed) == (12, {"ratings": 4}, {"http_404": 1})


def test_every_rejection_is_counted_and_costs_no_file(tmp_path: Path) -> None:
    site = ScriptedSite(11)
    changes: list[dict[str, object]] = [
        {"rating": "explicit"},
        {"rating": "new-word"},
        {"tags": "solo lowres"},
        {"width": 7},
        {"width": 400},
        {"width": 9000, "height": 9000},
        {"image": "x.gif"},
        {"file_url": "http://127.0.0.2:9/1.png"},
        {"file_url": "file:///etc/1.png"},
        {"width": "wide"},
    ]
    for post, change in zip(site.posts, changes, strict=False):
        post.update(change)
    with site.serve() as url:
        report = run(tmp_path, url, limit=1)
    assert ids(tmp_path) == [1]
    assert report.rejected == {
        "ratings": 2,
        "excluded_tags": 1,
        "min_side": 1,
        "max_aspect": 1,
        "max_pixels": 1,
        "file_types": 1,
        "host": 1,
        "malformed": 2,
    }
    assert [path for path in site.paths() if path.startswith("/images")] == ["/images/1/1.png"]


def test_the_query_that_is_sent(tmp_path: Path) -> None:
    site = ScriptedSite(4)
    site.page_size = 2
    with site.serve() as url:
        run(tmp_path, url, limit=3, tags=("solo",), excluded_tags=("a&b",), page_size=2)
    queries = [path for path, _ in site.requests if path.startswith("/index.php")]
    assert queries[:2] == [
        "/index.php?page=dapi&s=post&q=index&json=1&limit=2&tags=solo+-a%26b",
        "/index.php?page=dapi&s=post&q=index&json=1&limit=2&tags=solo+-a%26b+id%3A%3C3",
    ]


@pytest.mark.parametrize(
    ("fault", "times", "reason"),
    [
        (answer(404), 1, "http_404"),
        (answer(410), 1, "http_410"),
        (answer(403), 1, "http_403"),
        (answer(500), 2, "http_500"),
        (answer(503, Retry_After="0"), 2, "http_503"),
        (answer(200, PAGE), 1, "web_page"),
        (answer(200, b""), 2, "empty_file"),
        (answer(200, b"gone"), 1, "text"),
        (answer(200, b"\x89PNG\r\n\x1a\n broken"), 2, "undecodable"),
        (answer(200, picture(1)[:-400]), 2, "undecodable"),
        (answer(200, cut_jpeg()), 2, "undecodable"),
        (answer(200, picture(1, 41, 32)), 1, "size"),
        (answer(200, b"II*\0 a TIFF"), 2, "undecodable"),
        (answer(302, Location="http://127.0.0.2:9/x.png"), 1, "off_site"),
        (answer(302, Location="/images/1/4.png"), 6, "redirects"),
        (dropped, 2, "connection"),
        (stalled, 2, "timeout"),
        (overstated, 2, "connection"),
        (truncated, 2, "connection"),
    ],
)
def test_a_file_that_cannot_be_fetched_is_counted_and_replaced(
    tmp_path: Path, fault: Fault, times: int, reason: str
) -> None:
    site, path = ScriptedSite(4), "/images/1/4.png"
    site.faults[path] = [fault] * times
    with site.serve() as url:
        report = run(tmp_path, url, limit=2, timeout=1.0 if fault is stalled else 10.0)
        assert ids(tmp_path) == [3, 2]
        assert (report.failed, site.faults[path]) == ({reason: 1}, [])
        again = run(tmp_path, url, limit=2)
    assert (again.failed, ids(tmp_path)) == ({}, [4, 3])


def test_a_file_of_another_kind_is_called_and_judged_so(tmp_path: Path) -> None:
    """Sites serve JPEG, AVIF or GIF under addresses that end in .png."""
    site = ScriptedSite(4)
    for number, kind in ((4, "JPEG"), (3, "AVIF"), (2, "GIF")):
        site.files[f"/images/1/{number}.png"] = picture(number, kind=kind)
    site.posts = [site.post(number) for number in (4, 3, 2, 1)]
    with site.serve() as url:
        report = run(tmp_path, url, limit=2)
        assert (ids(tmp_path), report.rejected) == ([4, 1], {"file_types": 2})
        assert sorted(path.name for path in (tmp_path / "raw").glob("?.*")) == ["1.png", "4.jpg"]
        fetched = site.paths()
        again = run(tmp_path, url, limit=3, file_types=("png", "jpeg", "gif"))
        assert (ids(tmp_path), again.rejected) == ([4, 2, 1], {"file_types": 1})
        assert not [path for path in site.paths()[len(fetched) :] if path.startswith("/images")]


def test_damaged_exif_is_no_damage(tmp_path: Path) -> None:
    part, post = tmp_path / "x.part", Post(1, 32, 40, "http://b.test/1.png", "", "safe", (), "", 0)
    file = io.BytesIO()
    Image.new("RGB", (40, 32), "teal").save(
        file, "PNG", exif=b"Exif\0\0nothing that a camera wrote"
    )
    part.write_bytes(file.getvalue())
    with pytest.raises(FetchError, match="is 40×32 pixels, announced as 32×40"):
        check_picture(post, part, "")


@pytest.mark.parametrize("body", [b"GIF no more", b"8BPS", b""])
def test_what_is_no_picture_is_called_so(tmp_path: Path, body: bytes) -> None:
    part = tmp_path / "x.part"
    part.write_bytes(body)
    post = Post(1, 40, 32, "http://b.test/1.png", "", "safe", (), "", 0)
    with pytest.raises(FetchError) as error:
        check_picture(post, part, "")
    assert str(error.value) == (
        "http://b.test/1.png: cannot be decoded: is no picture of a known format"
    )


def test_damaged_metadata_print_no_warning(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 32), "teal").save(file, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0")
    site = ScriptedSite(1)
    site.files["/images/1/1.png"] = file.getvalue()
    site.posts[0] = site.post(1)
    with site.serve() as url:
        run(tmp_path, url, limit=1)
    assert [str(warning.message) for warning in recwarn] == []


def test_a_cut_file_that_the_site_itself_has_is_asked_for_once(tmp_path: Path) -> None:
    site = ScriptedSite(3)
    site.files["/images/1/3.png"] = cut_jpeg()
    site.posts[0] = site.post(3)
    with site.serve() as url:
        report = run(tmp_path, url, limit=2)
    assert (report.failed, ids(tmp_path)) == ({"undecodable": 1}, [2, 1])
    assert site.paths().count("/images/1/3.png") == 1


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files"),
    ],
)
def test_a_fault_of_the_machine_ends_the_run_and_costs_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, text: str
) -> None:
    def failing_load(image: PngImagePlugin.PngImageFile) -> None:
        raise fault

    site = ScriptedSite(3)
    with site.serve() as url:
        with monkeypatch.context() as patched:
            patched.setattr(PngImagePlugin.PngImageFile, "load", failing_load)
            with pytest.raises(PipelineError) as error:
                run(tmp_path, url, limit=2, workers=1)
        assert re.fullmatch(
            rf"{tmp_path}/store/parts/\w+\.part: cannot be read or decoded: {text}; "
            "mend that, then run the same command again",
            str(error.value),
        )
        report = run(tmp_path, url, limit=2)
    assert (report.failed, ids(tmp_path)) == ({}, [3, 2])
    assert site.paths().count("/images/1/3.png") == 1


def other_pixels(handler: Handler, body: bytes) -> None:
    """A picture of the right size that is another: bytes were changed on the way."""
    handler.send_file(picture(77))


def test_a_file_with_another_md5_is_asked_for_again(tmp_path: Path) -> None:
    site, path = ScriptedSite(3), "/images/1/3.png"
    site.faults[path] = [other_pixels, other_pixels]
    with site.serve() as url:
        report = run(tmp_path, url, limit=2)
    assert (ids(tmp_path), report.md5_mismatches, report.rejected) == ([3, 2], 0, {})
    assert (tmp_path / "raw/3.png").read_bytes() == site.files[path]
    asked = [headers.get("Cache-Control") for place, headers in site.requests if place == path]
    assert asked == [None, "no-cache", "no-cache"]
    assert sum(found.is_file() for found in (tmp_path / "store/files").rglob("*")) == 2


def test_what_still_differs_is_refused_and_not_asked_for_any_more(tmp_path: Path) -> None:
    site, path = ScriptedSite(4), "/images/1/4.png"
    site.posts[0]["hash"] = "0" * 32
    with site.serve() as url:
        report = run(tmp_path, url, limit=2)
        assert (ids(tmp_path), report.rejected, report.md5_mismatches) == ([3, 2], {"md5": 1}, 0)
        assert site.paths().count(path) == 3
        assert run(tmp_path, url, limit=2) == report
        assert [post.post.id for post in planned(tmp_path, url).accepted] == [3, 2]
        kept = run(tmp_path, url, limit=2, md5="keep")
        assert (ids(tmp_path), kept.rejected, kept.md5_mismatches) == ([4, 3], {}, 1)
        assert site.paths().count(path) == 3
        run(tmp_path, url, limit=3)
        assert ids(tmp_path) == [3, 2, 1]
    assert site.paths().count(path) == 3


def planned(folder: Path, url: str) -> Plan:
    params = ScrapeParams(site=url, api_interval=0, file_interval=0, min_side=8, limit=2, retries=1)
    return plan(params, folder / "store")


def test_what_earlier_versions_took_is_asked_for_once_more(tmp_path: Path) -> None:
    site, paths = ScriptedSite(4), ("/images/1/4.png", "/images/1/3.png")
    with site.serve() as url:
        for path in paths:
            site.faults[path] = [other_pixels] * 3
        run(tmp_path, url, limit=2, md5="keep")
        with closing(sqlite3.connect(tmp_path / "store/state.sqlite")) as database, database:
            database.execute("ALTER TABLE files DROP COLUMN mismatch_tries")
            database.execute("PRAGMA user_version = 2")
        site.faults[paths[1]] = [answer(404)]
        site.requests.clear()
        report = run(tmp_path, url, limit=2)
        assert (ids(tmp_path), report.rejected, report.failed) == ([4, 2], {"md5": 1}, {})
        assert [site.paths().count(path) for path in paths] == [1, 1]
        site.requests.clear()
        run(tmp_path, url, limit=2)
    assert [site.paths().count(path) for path in paths] == [0, 0]


def test_a_site_whose_md5_are_all_wrong(tmp_path: Path) -> None:
    site = ScriptedSite(150)
    for post in site.posts:
        post["hash"] = "0" * 32
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url)
    assert "100 files in a row failed, the last: http" in str(error.value)
    assert "differs from the announced md5; scrape.md5: keep takes such files" in str(error.value)


def test_a_file_that_rotted_is_fetched_again(tmp_path: Path) -> None:
    """The set and the store share a hard link, so damage is in both."""
    site, notes = ScriptedSite(3), Notes()
    with site.serve() as url:
        run(tmp_path, url, limit=3)
        for number in (1, 3):
            rot(tmp_path / f"raw/{number}.png")
        site.requests.clear()
        run(tmp_path, url, notes, limit=3)
    assert ids(tmp_path) == [3, 2, 1]
    assert sorted(site.paths()) == ["/images/1/1.png", "/images/1/3.png", "/robots.txt"]
    assert sum("was damaged on disk, and is replaced" in text for text in notes.messages) == 2


def test_a_short_transfer_goes_on_where_it_ended(tmp_path: Path) -> None:
    site, path = ScriptedSite(1), "/images/1/1.png"
    site.files[path] = picture(1, 300, 200)
    site.posts = [site.post(1) | {"width": 300, "height": 200}]
    site.faults[path] = [truncated]
    with site.serve() as url:
        run(tmp_path, url, limit=1)
    ranges = [headers.get("Range") for asked, headers in site.requests if asked == path]
    assert ranges == [None, f"bytes={len(site.files[path]) // 2}-"]
    assert ids(tmp_path) == [1]


def test_a_transfer_that_is_too_slow_goes_on_where_it_ended(tmp_path: Path) -> None:
    site, path = ScriptedSite(1), "/images/1/1.png"
    site.faults[path] = [dripping]
    with site.serve() as url:
        run(tmp_path, url, limit=1, timeout=1.0)
    first, second = (headers.get("Range") for asked, headers in site.requests if asked == path)
    assert first is None
    assert second is not None
    # The bytes of more than the timeout.
    assert 20 <= int(second[len("bytes=") : -1]) < len(site.files[path])
    assert ids(tmp_path) == [1]


def test_files_are_requested_from_the_post_s_page(tmp_path: Path) -> None:
    site = ScriptedSite(1)
    with site.serve() as url:
        run(tmp_path, url, limit=1)
    (referer,) = [headers["Referer"] for path, headers in site.requests if path in site.files]
    assert referer == f"{url}/index.php?page=post&s=view&id=1"


def test_a_site_that_answers_with_pages_ends_the_run(tmp_path: Path) -> None:
    site = ScriptedSite(20)
    for number in range(1, 21):
        site.faults[f"/images/1/{number}.png"] = [answer(302, Location="/page.html")]
    site.files["/page.html"] = PAGE
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url, limit=10, workers=1)
    assert str(error.value) == (
        f"{url}: 5 files in a row failed, the last: {url}/page.html: is a web page, not a picture: "
        "Oh; ask the site's owner: web pages come in place of its files, perhaps for all but "
        "browsers on its own pages"
    )
    assert site.paths().count("/page.html") == 5


WORDS = "Please log in to see originals"


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (answer(200, json.dumps({"success": False, "message": WORDS}).encode()), "is text, not a"),
        (answer(403, json.dumps({"error": {"code": 7, "text": WORDS}}).encode()), "HTTP 403: "),
        (answer(401, json.dumps(WORDS).encode()), "HTTP 401: "),
        (answer(200, f"<?xml version='1.0'?><Error><T>{WORDS}</T></Error>".encode()), "is text"),
        (answer(200, f"<p>{WORDS}</p>".encode()), "is text, not a picture: "),
        (answer(200, WORDS.encode()), "is text, not a picture: "),
        (answer(403, WORDS.encode()), "answered HTTP 403: "),
    ],
)
def test_words_in_place_of_files_end_the_run_and_are_shown(
    tmp_path: Path, fault: Fault, problem: str
) -> None:
    site = ScriptedSite(20)
    for path in site.files:
        site.faults[path] = [fault]
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url, limit=10, workers=1)
    text = str(error.value)
    assert text.startswith(f"{url}: 5 files in a row failed, the last: ")
    assert problem in text
    assert f": {WORDS}; ask the site's owner: " in text
    assert len([path for path in site.paths() if path in site.files]) == 5


@pytest.mark.parametrize(
    ("fault", "times", "advice"),
    [
        (answer(403, PAGE), 1, "ask the site's owner: its files are refused"),
        (answer(403), 1, "ask the site's owner: its files are refused"),
        (answer(302, Location="/user/login?next=/"), 1, "use another site: this one shows"),
        (answer(429, Retry_After="0"), 2, "run the same command again later, with a longer"),
        (answer(200, b""), 2, "ask the site's owner: its files come empty"),
    ],
)
def test_files_of_which_no_other_would_come_end_the_run_soon(
    tmp_path: Path, fault: Fault, times: int, advice: str
) -> None:
    site = ScriptedSite(20)
    for path in site.files:
        site.faults[path] = [fault] * times
    with site.serve() as url, pytest.raises(PipelineError, match="5 files in a row") as error:
        run(tmp_path, url, limit=10, workers=1)
    assert f"; {advice}" in str(error.value)
    assert len([path for path in site.paths() if path in site.files]) == 5 * times


def test_a_refusal_with_a_picture_or_of_a_missing_file_is_of_that_file_alone(
    tmp_path: Path,
) -> None:
    """Some sites send a picture that says so; and posts may lack their files for a while."""
    site = ScriptedSite(13)
    for number in range(2, 14):
        fault = answer(403, picture(99)) if number % 2 else answer(404, b'{"message": "gone"}')
        site.faults[f"/images/1/{number}.png"] = [fault]
    with site.serve() as url:
        report = run(tmp_path, url, limit=1, workers=1)
    assert (report.failed, ids(tmp_path)) == ({"http_403": 6, "http_404": 6}, [1])


@pytest.mark.parametrize("status", [200, 403])
def test_a_file_in_place_of_which_a_challenge_comes_ends_the_run(
    tmp_path: Path, status: int
) -> None:
    site = ScriptedSite(9)
    site.faults["/images/1/9.png"] = [answer(status, CHALLENGE)]
    with site.serve() as url, pytest.raises(ChallengeError):
        run(tmp_path, url, limit=5, workers=1, retries=5)
    assert site.paths() == ["/robots.txt", "/index.php", "/images/1/9.png"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'"Missing authentication. Go to api.booru.test"'),
        (401, b'{"success": false, "message": "Missing authentication. Go to api.booru.test"}'),
        (200, b'{"errors": ["Missing authentication. Go to api.booru.test"]}'),
        (403, b'<response reason="Missing authentication. Go to api.booru.test"/>'),
    ],
)
def test_a_site_that_wants_a_key_is_asked_once(tmp_path: Path, status: int, body: bytes) -> None:
    site = ScriptedSite(3)
    site.faults["/index.php"] = [answer(status, body)]
    with site.serve() as url, pytest.raises(KeyRequiredError) as error:
        run(tmp_path, url, limit=1, retries=5)
    assert str(error.value).endswith(
        "answers: Missing authentication. Go to api.booru.test; its API wants a key: set "
        "PIPELINE_API_KEY and PIPELINE_USER_ID to those of your account there, then run the same "
        "command again"
    )
    assert site.paths() == ["/robots.txt", "/index.php"]


@pytest.mark.parametrize("directives", [None, ()])
def test_files_that_are_not_for_training(
    tmp_path: Path, directives: tuple[str, ...] | None
) -> None:
    site = ScriptedSite(3)
    body = site.files["/images/1/3.png"]
    site.faults["/images/1/3.png"] = [answer(200, body, X_Robots_Tag="noai, noimageai")]
    values = {} if directives is None else {"disallowed_header_directives": directives}
    with site.serve() as url:
        report = run(tmp_path, url, limit=2, **values)
    if directives is None:
        assert (report.rejected, ids(tmp_path)) == ({"disallowed_header_directives": 1}, [2, 1])
    else:
        assert (report.rejected, ids(tmp_path)) == ({}, [3, 2])


def test_a_site_whose_files_are_not_for_training_ends_the_run(tmp_path: Path) -> None:
    site = ScriptedSite(101)
    for path, body in site.files.items():
        site.faults[path] = [answer(200, body, X_Robots_Tag="noai")]
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url, limit=1)
    assert str(error.value) == (
        f"{url}: 100 files in a row failed, the last: {url}/images/1/2.png: its X-Robots-Tag says "
        "noai; scrape.disallowed_header_directives: [] takes such files"
    )


@pytest.mark.parametrize("moved", [False, True])
def test_a_host_of_files_that_is_gone_costs_its_posts_alone(tmp_path: Path, moved: bool) -> None:
    """Nothing listens at port 80 of loopback, which counts as the site's."""
    with closing(socket.socket()) as probe:
        if probe.connect_ex(("127.0.0.1", 80)) == 0:
            pytest.skip("something listens at port 80")
    site = ScriptedSite(6)
    for post in site.posts[:3]:
        away = f"http://127.0.0.1/images/1/{post['id']}.png"
        if moved:
            site.faults[f"/images/1/{post['id']}.png"] = [answer(302, Location=away)] * 2
        else:
            post["file_url"] = away
    with site.serve() as url:
        report = run(tmp_path, url, limit=2, workers=1)
    assert (report.failed, ids(tmp_path)) == ({"unreachable": 3}, [3, 2])
    # The first of them is retried; then the site is asked whether it is there itself.
    assert site.paths().count("/robots.txt") == 2


def test_a_file_that_changed_meanwhile_starts_anew(tmp_path: Path) -> None:
    site, path = ScriptedSite(1), "/images/1/1.png"

    def truncated_then_changed(handler: object, body: bytes) -> None:
        truncated(handler, body)  # type: ignore[arg-type]
        site.files[path] = picture(99)

    site.faults[path] = [truncated_then_changed]
    with site.serve() as url:
        report = run(tmp_path, url, limit=1, md5="keep")
    assert (tmp_path / "raw/1.png").read_bytes() == picture(99)
    assert report.md5_mismatches == 1


@pytest.mark.parametrize(("announced", "accepted"), [((40, 32), 1), ((32, 40), 1), ((32, 32), 0)])
def test_a_picture_turned_by_exif_may_be_announced_either_way(
    tmp_path: Path, announced: tuple[int, int], accepted: int
) -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (40, 32), "teal").save(file, "JPEG", exif=exif)
    site = ScriptedSite(2)
    site.files["/images/1/2.png"] = file.getvalue()
    site.posts[0] = site.post(2) | {"width": announced[0], "height": announced[1]}
    with site.serve() as url:
        run(tmp_path, url, limit=1)
    assert ids(tmp_path) == [1 + accepted]


def test_the_largest_file_size(tmp_path: Path) -> None:
    """Announced by the server, or noticed while streaming; remembered by the next run."""
    site = ScriptedSite(4)
    site.files["/images/1/4.png"] = site.files["/images/1/3.png"] = b"\0" * 10_000

    def unannounced(handler: object, body: bytes) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("Connection", "close")  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        handler.wfile.write(body)  # type: ignore[attr-defined]
        handler.close_connection = True  # type: ignore[attr-defined]

    site.faults["/images/1/3.png"] = [unannounced]
    with site.serve() as url:
        for _ in range(2):
            report = run(tmp_path, url, limit=2, max_bytes=5000)
            assert (report.rejected, report.failed) == ({"max_bytes": 2}, {})
            assert ids(tmp_path) == [2, 1]
            asked = len(site.requests)
        assert len(site.requests) == asked
    with Store(tmp_path / "store") as store:
        assert list((store.folder / "parts").glob("*")) == []


def test_a_changed_limit(tmp_path: Path) -> None:
    site = ScriptedSite(9)
    with site.serve() as url:
        run(tmp_path, url, limit=4)
        asked = len(site.requests)
        run(tmp_path, url, limit=2)
        assert ids(tmp_path) == [9, 8]
        assert len(site.requests) == asked
        run(tmp_path, url, limit=6)
    assert ids(tmp_path) == [9, 8, 7, 6, 5, 4]
    files = [path for path in site.paths() if path.startswith("/images")]
    assert sorted(files) == sorted({f"/images/1/{number}.png" for number in range(4, 10)})


@pytest.mark.parametrize("has_set", [True, False])
def test_what_is_not_of_the_set_is_not_replaced(tmp_path: Path, has_set: bool) -> None:
    site = ScriptedSite(3)
    with site.serve() as url:
        if has_set:
            run(tmp_path, url, limit=2)
        own = tmp_path / "raw" / ("mine.txt" if has_set else "7.png")
        own.parent.mkdir(exist_ok=True)
        own.write_text("mine")
        asked = len(site.requests)
        with pytest.raises(PipelineError, match=f"a new set would replace: {own.name}; move it"):
            run(tmp_path, url, limit=3)
    assert len(site.requests) == asked
    assert own.read_text() == "mine"


def test_the_same_posts_after_others_arrived(tmp_path: Path) -> None:
    """From a store that has listed the newer ones, and from an empty one."""
    site = ScriptedSite(9)
    newer = site.posts[:3]
    del site.posts[:3]
    with site.serve() as url:
        pinned = run(tmp_path / "first", url, limit=4).until
        expected = contents(tmp_path / "first")
        site.posts[:0] = newer
        run(tmp_path / "second", url, limit=2)
        assert ids(tmp_path / "second") == [9, 8]
        for name in ("first", "second", "third"):
            run(tmp_path / name, url, limit=4, until=pinned)
            assert contents(tmp_path / name) == expected
    assert pinned == 6


def test_a_refresh_sees_newer_posts_and_fetches_no_file_again(tmp_path: Path) -> None:
    site = ScriptedSite(9)
    newer = site.posts[:2]
    del site.posts[:2]
    with site.serve() as url:
        run(tmp_path, url, limit=3)
        assert ids(tmp_path) == [7, 6, 5]
        site.posts[:0] = newer
        site.requests.clear()
        site.faults["/index.php"] = [answer(404)] * 3
        with pytest.raises(PipelineError, match="HTTP 404"):
            run(tmp_path, url, limit=3, refresh=True)
        # What was listed is replaced when the site has answered.
        run(tmp_path, url, limit=3)
        assert ids(tmp_path) == [7, 6, 5]
        run(tmp_path, url, limit=3, refresh=True)
    assert ids(tmp_path) == [9, 8, 7]
    files = [path for path in site.paths() if path.startswith("/images")]
    assert sorted(files) == ["/images/1/8.png", "/images/1/9.png"]


def test_an_empty_answer_to_a_refresh_leaves_what_was_listed(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    with site.serve() as url:
        run(tmp_path, url, limit=3)
        posts, site.posts = site.posts, []
        with pytest.raises(
            PipelineError,
            match="6 empty answers in a row, and no list page",
        ):
            run(tmp_path, url, limit=3, refresh=True)
        site.posts = posts
        run(tmp_path, url, limit=3, retry_failed=True)
    assert ids(tmp_path) == [5, 4, 3]


def test_a_rule_that_the_site_is_not_asked_for_lists_nothing_anew(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    with site.serve() as url:
        run(tmp_path, url, limit=3)
        run(tmp_path, url, limit=3, min_score=0)
    assert site.paths().count("/index.php") == 1


def test_an_alias_is_named(tmp_path: Path) -> None:
    """The site finds posts by another name than the one that they carry."""
    site = ScriptedSite(120)
    for post in site.posts:
        post["tags"] = f"flandre_scarlet n{post['id']}"
    with site.serve() as url:
        with pytest.raises(PipelineError) as error:
            run(tmp_path, url, tags=("flandre",))
        assert str(error.value) == (
            f"{url}: no picture is accepted: listed 100, rejected 100 (tags 100), accepted 0; "
            "write scrape.tags by the name on its posts, of flandre_scarlet: the site lists posts "
            "for flandre that lack it, so it is probably an alias"
        )
        run(tmp_path, url, tags=("Flandre_*",))
    assert ids(tmp_path) == [120, 119, 118, 117, 116]


def test_files_on_a_strange_host_end_the_run_soon(tmp_path: Path) -> None:
    site = ScriptedSite(150)
    for post in site.posts:
        post["file_url"] = f"http://img.files.test/{post['id']}.png"
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url, page_size=10)
    assert "listed 100, rejected 100 (host 100)" in str(error.value)
    assert "its files are on img.files.test, neither on its domain" in str(error.value)


def test_records_that_are_no_posts_end_the_run_soon(tmp_path: Path) -> None:
    site = ScriptedSite(150)
    for post in site.posts:
        post["width"] = "wide"
    site.page_size = 10
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url)
    assert str(error.value) == (
        f"{url}: no picture is accepted: listed 100, rejected 100 (malformed 100), accepted 0; try "
        "another scrape.listing: the commonest fault of malformed records is width: no whole "
        "number (100 of 100, such as post 150)"
    )


@pytest.mark.parametrize(
    ("rules", "advice"),
    [
        ("Disallow: /", "use another site: robots.txt keeps this program from its posts"),
        # As Danbooru's own.
        ("Disallow: /\nAllow: /posts", "if it is a Danbooru 2 site, set scrape.form to danbooru2"),
    ],
)
def test_a_robots_txt_that_forbids_every_form_of_listing(
    tmp_path: Path, rules: str, advice: str
) -> None:
    site, notes = ScriptedSite(5), Notes()
    site.robots = (200, f"User-agent: *\n{rules}")
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url, notes)
    assert str(error.value).endswith(f"does not allow anime-sr-pipeline to fetch this; {advice}")
    assert notes.messages == []
    assert site.paths() == ["/robots.txt"]


def test_a_site_that_is_known_to_want_a_key_is_not_asked_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = ScriptedSite(5)
    with site.serve() as url:
        known = Site("127.0.0.1", form="gelbooru025", needs_key=True)
        monkeypatch.setattr(sites, "SITES", (known,))
        with pytest.raises(UsageError, match="set PIPELINE_API_KEY and PIPELINE_USER_ID"):
            run(tmp_path, url)
        assert site.requests == []
        monkeypatch.setenv("PIPELINE_API_KEY", "s3cret")
        site.faults["/index.php"] = [answer(404)] * 2
        with pytest.raises(PipelineError, match="HTTP 404"):
            run(tmp_path, url)
    # Web pages of that form are not read.
    assert not any("page=post" in path for path, _ in site.requests)


def test_odd_texts_reach_the_set_as_lines(tmp_path: Path) -> None:
    """Records of earlier versions may hold what no line of a manifest can, too."""
    site = ScriptedSite(2)
    odd = "a\rb\r\nc\u2028d\0e\ud800"
    for post in site.posts:
        post |= {"source": odd, "tags": [odd, "<script>alert(1)</script>"]}
    with site.serve() as url:
        run(tmp_path, url, limit=2)
    path = tmp_path / "raw" / POSTS_FILE
    assert path.read_text().count("\n") == 2
    expected = ("a b c d e?", ("<script>alert(1)</script>", "a_b_c_d_e?"))
    assert [(post.source, post.tags) for post in read_posts(tmp_path / "raw")] == [expected] * 2
    lines = [json.loads(line) | {"source": odd.rstrip("\ud800")} for line in path.open()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [post.source for post in read_posts(tmp_path / "raw")] == ["a b c d e"] * 2


def test_a_deleted_set_costs_no_network_and_is_the_same_again(tmp_path: Path) -> None:
    notes = Notes()
    with ScriptedSite(6).serve() as url:
        first = run(tmp_path, url)
        before = contents(tmp_path)
        report = (tmp_path / "scrape.json").read_bytes()
    for path in (tmp_path / "raw").iterdir():
        path.unlink()
    assert run(tmp_path, url, notes) == first
    assert contents(tmp_path) == before
    assert (tmp_path / "scrape.json").read_bytes() == report
    (message,) = notes.messages
    assert message.startswith(f"{url}: going on with the listing begun 20")


def test_files_are_links_and_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    for leftover in (".raw.new", ".raw.old"):
        (tmp_path / leftover).mkdir()
        (tmp_path / leftover / "1.png").write_text("x")
        (tmp_path / leftover / POSTS_FILE).write_text("")
    with ScriptedSite(5).serve() as url:
        run(tmp_path, url)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "scrape.json", "store"]
    assert all(path.stat().st_nlink == 2 for path in (tmp_path / "raw").glob("*.png"))


def test_a_limit_that_cannot_be_met(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    site.posts[0]["rating"] = "explicit"
    site.faults["/images/1/4.png"] = [answer(404)]
    with site.serve() as url:
        with pytest.raises(PipelineError) as error:
            run(tmp_path, url, limit=9)
        assert (error.value.exit_code, str(error.value)) == (
            1,
            f"{url}: 6 of 9 pictures are missing: listed 5, rejected 1 (ratings 1), failed 1 "
            "(http_404 1), accepted 3; lower scrape.limit to 3, or use another site: this "
            "one lists no more posts; if it should, its search may be down: run the same command "
            f"again later (all that was fetched stays in {tmp_path / 'store'})",
        )
        assert not (tmp_path / "raw").exists()
        site.files["/images/1/6.png"] = picture(6)
        site.posts.insert(0, site.post(6))
        run(tmp_path, url)
    assert ids(tmp_path) == [6, 4, 3, 2, 1]
    assert site.paths().count("/images/1/3.png") == 1


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (answer(403, CHALLENGE), "asks for proof of a human"),
        (answer(200, CHALLENGE), "asks for proof of a human"),
        (answer(200, PAGE), "answered with a web page instead of posts; run the same command"),
        (answer(200, b'<response success="false" reason="search down"/>'), "search down; run the"),
        (answer(200, b'[{"no":"id"}, {}]'), "answered with posts without ids; run the same"),
        (answer(200, b'[{"id":1,'), "answered with broken JSON"),
        (answer(200, b"no gzip", Content_Encoding="gzip"), "failed to decode it; run the same"),
        (answer(404), "answered HTTP 404; if it is a Danbooru 2 site"),
        (answer(403, b'{"message": "no programs"}'), "HTTP 403: no programs; ask the site's owner"),
        (answer(418, b"short and stout"), "HTTP 418: short and stout; open the address"),
        (answer(503), "answered HTTP 503; run the same command again later"),
        (answer(414), "HTTP 414; name fewer tags in scrape.tags"),
        (answer(999), "answered HTTP 999; open the address in a browser"),
        (answer(429, Retry_After="0"), "HTTP 429; run the same command again later, .* longer"),
        (answer(429, Retry_After="4000"), "asks to wait 4000 s"),
        (answer(429, Retry_After="9" * 20), "asks to wait 1000000000 s"),
        (answer(302, Location="/user/login"), "a page to log in, .*; set PIPELINE_API_KEY"),
        (answer(302, Location="https://id.test/sign_in"), "a page to log in, .*; set PIPELINE"),
        (answer(302, Location="https://b.test/"), "off the site to https://b.test/; set scrape"),
        (answer(302, Location="/index.php"), "more than 5 redirects; open the address"),
    ],
)
def test_a_listing_that_fails(tmp_path: Path, fault: Fault, problem: str) -> None:
    site = ScriptedSite(5)
    site.faults["/index.php"] = [fault] * 6
    with site.serve() as url, pytest.raises(PipelineError, match=problem) as error:
        run(tmp_path, url, listing="json")
    assert str(error.value).startswith(f"{url}/index.php")
    assert "\n" not in str(error.value)


def test_an_address_in_a_message_is_cut(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    site.faults["/index.php"] = [answer(302, Location=f"/user/login?url={'a' * 30_000}")]
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url, listing="json")
    assert len(str(error.value)) < 2_000


def test_a_site_that_may_be_misspelt(tmp_path: Path) -> None:
    site = "http://safebooru:1"
    with pytest.raises(PipelineError, match=r"\(did you mean https://safebooru.org\?\); check"):
        run(tmp_path, site, retries=0)


def test_a_robots_txt_that_cannot_be_read_ends_the_run_with_advice(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    site.robots = (503, "")
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url)
    assert str(error.value) == (
        f"{url}/robots.txt: answered HTTP 503; run the same command again later, which goes on "
        "from here: while robots.txt cannot be read, nothing may be fetched"
    )


def test_the_forms_of_a_listing_in_turn(tmp_path: Path) -> None:
    """JSON is refused, then XML; the web pages give the same set, except md5."""
    (tmp_path / "pictures").mkdir()
    for number in range(1, 9):
        (tmp_path / "pictures" / f"{number}.png").write_bytes(picture(number))
    site = BooruSite(collect_folder(tmp_path / "pictures"))
    wanted: dict[str, object] = {"excluded_tags": (), "limit": 6, "page_size": 3}
    with Server(site) as booru:
        for listing in ("json", "xml", "html"):
            (tmp_path / listing).mkdir()
            run(tmp_path / listing, booru.url, listing=listing, **wanted)
    assert contents(tmp_path / "json") == contents(tmp_path / "xml")
    lines = {
        form: [json.loads(line) for line in (tmp_path / form / "raw" / POSTS_FILE).open()]
        for form in ("json", "html")
    }
    for api, page in zip(lines["json"], lines["html"], strict=True):
        assert (api["md5_matches"], page["md5_matches"]) == (True, None)
        assert page["file_url"].replace("//images", "/images") == api["file_url"]
        # The pages show tags by category, and a missing score as 0.
        assert (page["score"], page["tag_categories"]["meta"]) == (api["score"] or 0, ["lowres"])
        same = api.keys() - {"md5_matches", "file_url", "score", "tag_categories"}
        assert {key: api[key] for key in same} == {key: page[key] for key in same}


def test_a_listing_falls_back_to_what_the_site_gives(tmp_path: Path) -> None:
    notes = Notes()
    (tmp_path / "pictures").mkdir()
    for number in range(1, 6):
        (tmp_path / "pictures" / f"{number}.png").write_bytes(picture(number))
    # Two tries each of JSON and XML are refused; the web pages come after them.
    site, refused = BooruSite(collect_folder(tmp_path / "pictures")), iter(range(4))

    def without_api(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        fault = FAULTS["depth-limit"]
        is_api = "page=dapi" in environ["QUERY_STRING"]
        answer = fault(site, environ) if is_api and next(refused, None) is not None else site
        return answer(environ, start)

    with Server(without_api) as booru:
        report = run(tmp_path, booru.url, notes, excluded_tags=(), limit=4)
    assert ids(tmp_path) == [5, 4, 3, 2]
    assert (report.listed, report.md5_mismatches) == (4, 0)
    switches = [text for text in notes.messages if "going on with the listing as" in text]
    assert [message.rpartition(" as ")[2] for message in switches] == [
        "xml",
        "web pages: a request, 0 s or more, for each post (scrape.listing: json or xml ends here "
        "instead)",
    ]
    assert "API limited due to abuse" in switches[0]


@pytest.mark.parametrize(
    "fault", [answer(429, Retry_After="0"), answer(503), dropped, answer(403, CHALLENGE)]
)
def test_what_another_form_would_not_mend_changes_none(tmp_path: Path, fault: Fault) -> None:
    site = ScriptedSite(5)
    site.faults["/index.php"] = [fault] * 9
    with site.serve() as url, pytest.raises(PipelineError):
        run(tmp_path, url)
    assert all("json=1" in path for path, _ in site.requests if path != "/robots.txt")


def test_credentials_are_sent_to_the_api_and_never_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_API_KEY", "s3cret")
    monkeypatch.setenv("PIPELINE_USER_ID", "4711081")
    site, notes = ScriptedSite(5), Notes()
    site.faults["/index.php"] = [answer(503), answer(404)] + [answer(401)] * 9
    with site.serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url, notes)
    asked = [path for path, _ in site.requests if path.startswith("/index.php")]
    assert "api_key=s3cret&user_id=4711081" in asked[0]
    assert all(("s3cret" in path) == ("page=dapi" in path) for path in asked)
    messages = [*notes.messages, str(error.value)]
    assert any("api_key=...&user_id=..." in text for text in messages)
    assert not any("s3cret" in text or "4711081" in text for text in messages)
    stored = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not any(b"s3cret" in content for content in stored)


def test_a_plan_fetches_nothing_and_serves_the_scrape(tmp_path: Path) -> None:
    site = ScriptedSite(30)
    site.posts[0]["rating"] = "explicit"
    params = ScrapeParams(site="http://x.test", min_side=8, api_interval=0, file_interval=0)
    with site.serve() as url:
        run(tmp_path, url, limit=22)
        asked = len(site.requests)
        wanted = params.model_copy(update={"site": url, "limit": 25})
        planned = plan(wanted, tmp_path / "store")
        assert len(site.requests) == asked
        assert not any("/images" in path for path in site.paths()[asked:])
        none = plan(wanted.model_copy(update={"limit": 30, "min_side": 33}), tmp_path / "other")
    assert not none.accepted
    assert none.shortage is not None
    assert none.shortage.startswith(f"{url}: 30 of 30 pictures are missing: ")
    assert planned.shortage is None
    assert planned.rejected == {"ratings": 1}
    assert [entry.post.id for entry in planned.accepted] == list(range(29, 4, -1))
    assert [entry.stored for entry in planned.accepted] == [True] * 22 + [False] * 3
    sizes = [len(site.files[f"/images/1/{number}.png"]) for number in range(29, 7, -1)]
    assert [entry.bytes for entry in planned.accepted[:22]] == sizes
    assert {entry.bytes for entry in planned.accepted[22:]} == {round(sum(sizes) / 22)}
    assert not any(entry.guessed for entry in planned.accepted)


def test_failures_are_tried_again_without_a_listing(tmp_path: Path) -> None:
    site, notes = ScriptedSite(5), Notes()
    for number in (5, 3, 2):
        site.faults[f"/images/1/{number}.png"] = [answer(404)]
    with site.serve() as url:
        with pytest.raises(PipelineError, match="3 of 5 pictures are missing"):
            run(tmp_path, url)
        site.faults["/images/1/2.png"] = [answer(404)]
        site.requests.clear()
        with pytest.raises(PipelineError, match="1 of 5 pictures are missing"):
            run(tmp_path, url, notes, retry_failed=True)
        assert "/index.php" not in site.paths()
        assert sorted(path for path in site.paths() if "images" in path) == [
            "/images/1/2.png",
            "/images/1/3.png",
            "/images/1/5.png",
        ]
        run(tmp_path, url, retry_failed=True)
        assert ids(tmp_path) == [5, 4, 3, 2, 1]
    assert notes.messages == [f"{url}: 3 files could not be fetched before; nothing new is listed"]


def test_a_retry_within_a_listing_that_was_cut_short_does_not_end_it(tmp_path: Path) -> None:
    site, notes = ScriptedSite(5), Notes()
    site.page_size = 2
    newest, refused = json.dumps(site.posts[:2]).encode(), answer(403, CHALLENGE)
    site.faults["/index.php"] = [answer(200, newest), refused]
    with site.serve() as url:
        with pytest.raises(PipelineError, match="proof of a human"):
            run(tmp_path, url)
        with pytest.raises(PipelineError, match="3 of 5 pictures are missing"):
            run(tmp_path, url, retry_failed=True)
        site.requests.clear()
        run(tmp_path, url, notes)
    assert "going on with the listing" in notes.messages[0]
    assert "id%3A%3C4" in next(path for path, _ in site.requests if "/index.php" in path)


def test_failures_of_nothing_cannot_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no posts of http://127\.0\.0\.1:1 with these tags"):
        run(tmp_path, "http://127.0.0.1:1", retry_failed=True)


def test_a_challenge_in_place_of_a_picture_ends_the_run(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    site.faults["/images/1/5.png"] = [answer(200, CHALLENGE)]
    with site.serve() as url, pytest.raises(PipelineError, match="asks for proof of a human"):
        run(tmp_path, url, limit=1)


def in_small_chunks(page: bytes) -> Fault:
    return lambda handler, _: chunked(5)(handler, page)


def test_a_web_page_in_small_chunks_is_no_picture(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    site.faults["/images/1/5.png"] = [in_small_chunks(PAGE)] * 2
    with site.serve() as url:
        assert run(tmp_path, url, limit=1).failed == {"web_page": 1}
        site.faults["/images/1/5.png"] = [in_small_chunks(CHALLENGE)]
        with pytest.raises(PipelineError, match="asks for proof of a human"):
            run(tmp_path, url, limit=1)


def test_a_picture_in_small_chunks_is_whole(tmp_path: Path) -> None:
    site = ScriptedSite(1)
    site.faults["/images/1/1.png"] = [chunked(1000)]
    with site.serve() as url:
        run(tmp_path, url, limit=1)
    assert (tmp_path / "raw/1.png").read_bytes() == site.files["/images/1/1.png"]


def test_a_site_that_ignores_the_cursor(tmp_path: Path) -> None:
    site = ScriptedSite(5)
    page = json.dumps(site.posts[:2]).encode()
    site.faults["/index.php"] = [answer(200, page)] * 9
    with site.serve() as url, pytest.raises(PipelineError, match="the search ignores id:<4"):
        run(tmp_path, url, listing="json")


def test_a_site_that_gives_no_file_at_all(tmp_path: Path) -> None:
    site = ScriptedSite(150)
    site.robots = (200, "User-agent: *\nDisallow: /images")
    with site.serve() as url, pytest.raises(PipelineError, match="100 files in a row") as error:
        run(tmp_path, url)
    assert "robots.txt does not allow" in str(error.value)
    assert str(error.value).endswith(
        "; use another site: robots.txt keeps this program from its files"
    )


def test_an_unreachable_site(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    notes = Notes()
    with pytest.raises(PipelineError) as error:
        run(tmp_path, url, notes)
    assert "cannot be reached: Connection refused; check scrape.site" in str(error.value)
    assert len(notes.messages) == 1
    assert "next try in" in notes.messages[0]


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(PipelineError) as error:
        run(tmp_path, "http://127.0.0.1:1")
    assert str(error.value) == (
        f"{tmp_path}/store: is a file, and a folder is needed there; move it away; mend that, then "
        "run the same command again (what was fetched is kept)"
    )


def test_a_previous_set_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    previous = PreviousSets(lambda: [lambda name: tmp_path / name])
    (tmp_path / POSTS_FILE).mkdir()
    with ScriptedSite(5).serve() as url, pytest.raises(PipelineError) as error:
        run(tmp_path, url, previous=previous)
    assert str(error.value) == (
        f"{tmp_path}/posts.jsonl: cannot be written or read: Is a directory; mend that, then run "
        "the same command again (what was fetched is kept)"
    )


def test_the_embedded_booru(tmp_path: Path) -> None:
    """Pictures of several formats through the real server."""
    folder = tmp_path / "pictures"
    (folder / "solo").mkdir(parents=True)
    for number, (kind, ending) in enumerate(
        [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("GIF", "gif"), ("JPEG", "jpeg")]
    ):
        body = picture(number, 40 + number, 32, kind)
        (folder / "solo" / f"{number}.{ending}").write_bytes(body)
    with Server(BooruSite(collect_folder(folder))) as booru:
        report = run(tmp_path, booru.url, limit=3, tags=("solo",), excluded_tags=(), page_size=2)
        assert ids(tmp_path) == [5, 3, 2]
        assert (report.rejected, report.md5_mismatches) == ({"file_types": 1}, 0)
    for number, name in ((4, "5.jpg"), (2, "3.webp"), (1, "2.jpg")):
        (original,) = (folder / "solo").glob(f"{number}.*")
        assert (tmp_path / "raw" / name).read_bytes() == original.read_bytes()
