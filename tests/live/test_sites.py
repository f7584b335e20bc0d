"""Public sites as they are today, against `expected`: only on request, by `make test-live`.

Each test takes some requests, at the pace of a scrape. It is skipped without a network, and where
the site lets no program in: robots.txt is obeyed here too.
"""

import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from pipeline.params import ScrapeParams
from pipeline.scraping.fetch_errors import ChallengeError, FetchError
from pipeline.scraping.job import make_client
from pipeline.scraping.posts import Page
from pipeline.scraping.session import Session
from tests.live.expected import POSTS, SEARCHES, LivePost, LiveSearch

pytestmark = pytest.mark.live


@contextmanager
def session_with(site: str) -> Iterator[Session]:
    """Yield a session; skip the test where the site cannot be reached or does not let it in."""
    parts = urlsplit(site)
    host, port = parts.hostname, parts.port or 443
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError as error:
        pytest.skip(f"{host} cannot be reached: {error}")
    contact = os.environ.get("PIPELINE_CONTACT", "")
    with closing(Session(site, contact=contact, api_interval=1.5, retries=2)) as session:
        try:
            yield session
        except ChallengeError as error:
            pytest.skip(str(error))
        except FetchError as error:
            if error.reason == "robots_txt":
                pytest.skip(str(error))
            raise


def first_page(session: Session, params: ScrapeParams) -> Page:
    return make_client(params, session).fetch_page()


def identity(case: LivePost | LiveSearch) -> str:
    name = str(case.id) if isinstance(case, LivePost) else "+".join(case.tags)
    return f"{urlsplit(case.site).hostname}-{name}"


@pytest.mark.parametrize("expected", POSTS, ids=identity)
def test_a_post(expected: LivePost) -> None:
    params = ScrapeParams(
        site=expected.site, form=expected.form, tags=(f"id:{expected.id}",), excluded_tags=()
    )
    with session_with(expected.site) as session:
        (post,) = first_page(session, params).posts
        assert post.id == expected.id
        assert {name: getattr(post, name) for name in expected.fields} == expected.fields
        assert expected.tags <= set(post.tags)
        if expected.sha1:
            with session.get(post.file_url, session.file_limiter) as response:
                content = b"".join(session.chunks(response))
            assert hashlib.sha1(content, usedforsecurity=False).hexdigest() == expected.sha1


@pytest.mark.parametrize("expected", SEARCHES, ids=identity)
def test_a_search(expected: LiveSearch) -> None:
    params = ScrapeParams(
        site=expected.site, form=expected.form, tags=expected.tags, excluded_tags=()
    )
    with session_with(expected.site) as session:
        page = first_page(session, params)
    assert len(page.ids) >= expected.least
    assert list(page.ids[: len(page.posts)]) == sorted(page.ids[: len(page.posts)], reverse=True)
    for post in page.posts:
        assert re.fullmatch(expected.file_url, post.file_url)
        assert set(expected.tags) <= set(post.tags)
        assert not expected.ratings or post.rating in expected.ratings
