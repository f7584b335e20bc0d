"""Rules for this program: robots.txt as bytes, and X-Robots-Tag headers."""

import threading
import time

import pytest

from pipeline.scraping.fetch_errors import FetchError, TransientError
from pipeline.scraping.robots import (
    AGENT,
    MAX_ROBOTS_BYTES,
    RobotsTxt,
    find_directive,
    parse_robots_txt,
)

DIRECTIVES = ("noai", "noimageai", "noindex", "noimageindex")
RULES = "User-agent: *\nDisallow: /images/é\n"


def allows(body: bytes, path: str) -> bool:
    return parse_robots_txt(body).can_fetch(f"http://booru.test{path}", AGENT)


@pytest.mark.parametrize(
    "body",
    [
        RULES.encode(),
        RULES.encode("utf-8-sig"),
        RULES.encode("utf-16"),
        RULES.replace("\n", "\r").encode(),
        RULES.replace("\n", "\r\n").encode(),
        b"\xff# no text\n" + RULES.encode(),
    ],
)
def test_encodings_and_line_ends(body: bytes) -> None:
    assert not allows(body, "/images/%C3%A9.png")
    assert allows(body, "/images/e.png")


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_only_whole_lines_of_the_first_500_kib_count(end: bytes) -> None:
    start = end.join([b"User-agent: *", b"Disallow: /a", b""])
    comment = b"#" * (MAX_ROBOTS_BYTES - len(start) - 15) + end
    cut = start + comment + b"Disallow: /" + b"b" * 20
    assert len(start + comment) < MAX_ROBOTS_BYTES < len(cut)
    assert not allows(cut, "/a")
    assert allows(cut, "/c")


def test_one_long_line_is_no_rule() -> None:
    assert allows(b"User-agent: *" + b" " * MAX_ROBOTS_BYTES + b"\nDisallow: /", "/")


@pytest.mark.parametrize(
    ("headers", "directive"),
    [
        ([], None),
        (["noai, noimageai"], "noai"),
        (["all", "NoImageAI"], "noimageai"),
        (["nofollow , NOAI"], "noai"),
        (["nofollow; noai"], "noai"),
        (["none"], "noindex"),
        (["nofollow, noarchive"], None),
        (["noairship"], None),
        (["anime-sr-pipeline: noai"], "noai"),
        (["Anime-SR-Pipeline/2 : noai"], "noai"),
        (["*: noai"], "noai"),
        (["otherbot: noai, noimageai"], None),
        (["otherbot: noai", "noimageai"], "noimageai"),
        (["otherbot: noai, anime-sr-pipeline: noimageai"], "noimageai"),
        (["max-snippet: 5, noai"], "noai"),
        (["unavailable_after: Wed, 03 Dec 2025 13:09:53 PST, noai"], "noai"),
        (["otherbot: unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], None),
        ([":", ": noai", "", ",,;"], None),
    ],
)
def test_x_robots_tag(headers: list[str], directive: str | None) -> None:
    assert find_directive(headers, DIRECTIVES) == directive


def test_other_directives() -> None:
    assert find_directive(["noai, nofollow"], ("nofollow",)) == "nofollow"
    assert find_directive(["noai, noindex"], ()) is None


def test_threads_share_one_attempt_that_fails() -> None:
    """A host that is gone takes the time of a timeout for each attempt."""
    begun, attempts, errors = threading.Semaphore(0), [0], []

    def fetch(address: str) -> bytes:
        attempts[0] += 1
        for _ in range(3):
            assert begun.acquire(timeout=30)
        # Until all wait for the answer.
        time.sleep(1)
        raise TransientError(address, "timeout", "the server fell silent")

    def check() -> None:
        begun.release()
        try:
            robots.check("http://booru.test/1.png")
        except FetchError as error:
            errors.append(error.reason)

    robots = RobotsTxt(fetch, lambda address, delay: None)
    threads = [threading.Thread(target=check) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (attempts, errors) == ([1], ["timeout"] * 3)
