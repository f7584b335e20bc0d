"""Damaged robots.txt files and headers, over real sockets: each ends in a named error or a body."""

import gzip
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scraping.download import _full_length, _is_continuation, _version_validator
from pipeline.scraping.fetch_errors import FetchError, SiteError
from pipeline.scraping.robots import find_directive
from pipeline.scraping.session import Session
from tests.mutations import mutations

ROBOTS = b"""\xef\xbb\xbf# rules
User-agent: *
Crawl-delay: 0.5
Request-rate: 1/5
Allow: /images/1
Disallow: /images/*/a$

User-agent: anime-sr-pipeline
Crawl-delay: 0
Visit-time: 0400-0845
Disallow: /private%20
Sitemap: https://booru.test/sitemap.xml
"""
BODY = b"\x89PNG\r\n\x1a\n" + bytes(range(40))
PACKED = gzip.compress(b"<html><title>Just a minute</title></html>", mtime=0)
DATES = b"Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:28:09 GMT\r\n"
ANSWERS = (
    b'HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 48\r\nETag: W/"a"\r\n'
    b"Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nX-Robots-Tag: otherbot: noai, noindex\r\n\r\n"
    + BODY,
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 8-47/48\r\nContent-Length: 40\r\n\r\n"
    + BODY[8:],
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    + b"%x\r\n%s\r\n0\r\n\r\n" % (len(PACKED), PACKED),
    b"HTTP/1.1 302 Found\r\nLocation: /images/%C3%A9/../2.png?a=b#c\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: http://user@[::1]:80/1.png\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n" + DATES + b"\r\n",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy",
    b'HTTP/1.1 403 No\r\nServer: ddos-guard\r\n\r\n{"message": "Missing authentication"}',
)
# The server closes each connection.
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
COUNTS = [100, pytest.param(10_000, marks=pytest.mark.long)]


class Answers:
    """What a server sends, byte by byte, for robots.txt and for everything else."""

    robots = OK
    file = ANSWERS[0]

    def handle(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = connection.recv(65536)
            is_robots_txt = re.match(rb"GET /robots\.txt ", request)
            connection.sendall(self.robots if is_robots_txt else self.file)

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Yield the address of a server that closes each connection after one answer."""

        def accept() -> None:
            with suppress(OSError):
                while True:
                    self.handle(server.accept()[0])

        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=accept, daemon=True).start()
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
            server.shutdown(socket.SHUT_RDWR)


def fetch(site: str) -> bytes | FetchError | SiteError:
    """Return the body of a file, or the error that its request ends in."""
    session = Session(site, api_interval=0, file_interval=0, retries=0, timeout=5)
    try:
        with session.get(f"{site}/images/1.png", session.file_limiter) as response:
            find_directive(response.raw.headers.getlist("X-Robots-Tag"), ("noai",))
            assert (_full_length(response, 8) or 0) >= 0
            _version_validator(response)
            _is_continuation(response, 8)
            return b"".join(session.chunks(response))
    except (FetchError, SiteError) as error:
        found = error
    finally:
        session.close()
    assert len(str(found).splitlines()) == 1
    assert str(found).isprintable()
    return found


@pytest.mark.parametrize("count", COUNTS)
def test_robots_txt(count: int) -> None:
    answers = Answers()
    with answers.serve() as site:

        @settings(max_examples=count, deadline=None)
        @given(mutations(ROBOTS))
        def check(body: bytes) -> None:
            answers.robots = OK + body
            result = fetch(site)
            assert result == BODY or (
                isinstance(result, FetchError | SiteError) and "robots.txt" in str(result)
            )

        check()


@pytest.mark.parametrize("count", COUNTS)
def test_headers(count: int) -> None:
    answers = Answers()
    with answers.serve() as site:

        @settings(max_examples=count, deadline=None)
        @given(st.sampled_from(ANSWERS).flatmap(mutations))
        def check(answer: bytes) -> None:
            answers.file = answer
            fetch(site)

        check()


@pytest.mark.parametrize("count", COUNTS)
def test_headers_of_robots_txt(count: int) -> None:
    answers = Answers()
    with answers.serve() as site:

        @settings(max_examples=count, deadline=None)
        @given(st.sampled_from(ANSWERS).flatmap(mutations))
        def check(answer: bytes) -> None:
            answers.robots = answer
            fetch(site)

        check()


def test_the_originals_are_what_they_seem() -> None:
    """What is mutated above is understood as it is."""
    answers = Answers()
    with answers.serve() as site:
        assert fetch(site) == BODY
        answers.robots = OK + ROBOTS.replace(b"private%20", b"images/1.p")
        assert getattr(fetch(site), "reason", "") == "robots_txt"
        answers.robots = Answers.robots
        reasons = []
        for answers.file in ANSWERS[1:]:
            result = fetch(site)
            reasons.append(result if isinstance(result, bytes) else getattr(result, "reason", ""))
    assert reasons == [
        BODY[8:],
        gzip.decompress(PACKED),
        "redirects",
        "off_site",
        "http_429",
        "http_503",
        "http_403",
    ]
