"""The key and the user of a site's API, which no message may have."""

import json
from contextlib import closing
from urllib.parse import quote

import pytest

from pipeline.errors import PipelineError
from pipeline.scraping.fetch_errors import FetchError, SiteError
from pipeline.scraping.secrets import Secrets
from pipeline.scraping.session import Session
from tests.scraping.site import Fault, Handler, ScriptedSite, answer

# The number of the user is longer than a port, which the messages name.
SECRETS = Secrets("s3/cr&t1", "4711081")
KEYS = {"api_key": SECRETS.key, "user_id": SECRETS.user}


def off_site(handler: Handler, _: bytes) -> None:
    address = quote(quote(handler.path, safe=""), safe="")
    handler.send(302, b"", Location=f"https://login.test/?next={address}")


def to_login(handler: Handler, _: bytes) -> None:
    handler.send(302, b"", Location=f"/login?url={quote(handler.path, safe='')}&back=1")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            off_site,
            "{url}/index.php?api_key=...&user_id=...: redirects to a page to log in, "
            "https://login.test/?next=%252Findex.php%253Fapi_key%253D...%2526user_id%253D...",
        ),
        (
            to_login,
            "{url}/index.php?api_key=...&user_id=...: redirects to a page to log in, "
            "{url}/login?url=%2Findex.php%3Fapi_key%3D...%26user_id%3D...&back=1",
        ),
        (
            answer(401, b"Invalid API key: s3/cr&t1 of 4711081"),
            "{url}/index.php?api_key=...&user_id=...: answers: Invalid API key: ... of ...; its "
            "API wants a key: check PIPELINE_API_KEY and PIPELINE_USER_ID, which are set, then run "
            "the same command again",
        ),
        (
            answer(400, b'{"message": "no user 4711081 with s3%2fcr%2526t1"}'),
            "{url}/index.php?api_key=...&user_id=...: answered HTTP 400: no user ... with ...; "
            "if that is for the key: check PIPELINE_API_KEY and PIPELINE_USER_ID, which are set",
        ),
    ],
)
def test_a_site_that_repeats_the_key(fault: Fault, expected: str) -> None:
    site = ScriptedSite(1)
    site.faults["/index.php"] = [fault]
    with (
        site.serve() as url,
        closing(Session(url, api_interval=0, retries=0, secrets=SECRETS)) as session,
        pytest.raises((FetchError, SiteError)) as error,
        session.get(f"{url}/index.php", session.api_limiter, params=KEYS),
    ):
        pass
    assert str(error.value) == expected.format(url=url)
    if isinstance(error.value, FetchError):
        assert expected.format(url=url).endswith(error.value.problem)


@pytest.mark.parametrize(
    ("secrets", "status", "named"),
    [
        (SECRETS, 403, "check PIPELINE_API_KEY and PIPELINE_USER_ID, which are set"),
        (SECRETS, 500, "check PIPELINE_API_KEY and PIPELINE_USER_ID, which are set"),
        (Secrets(SECRETS.key), 403, "check PIPELINE_API_KEY, which is set, and set PIPELINE_USER"),
        (Secrets("", SECRETS.user), 403, "check PIPELINE_USER_ID, which is set, and set PIPELINE_"),
        (SECRETS, 404, None),
        (SECRETS, 429, None),
        (Secrets(), 403, None),
    ],
)
def test_a_refusal_without_a_word_may_be_for_the_key(
    secrets: Secrets, status: int, named: str | None
) -> None:
    site = ScriptedSite(1)
    site.faults["/index.php"] = [answer(status)]
    with (
        site.serve() as url,
        closing(Session(url, api_interval=0, retries=0, secrets=secrets)) as session,
        pytest.raises(FetchError) as error,
        session.get(f"{url}/index.php", session.api_limiter, params=KEYS),
    ):
        pass
    text = str(error.value)
    assert f"answered HTTP {status}" in text
    assert named in text if named else "PIPELINE" not in text
    assert not any(value and value in text for value in (secrets.key, secrets.user))


def test_a_key_is_not_cut() -> None:
    """A part of it would not be recognised."""
    site = ScriptedSite(1)
    words = " ".join(["is"] * 65)
    site.faults["/index.php"] = [answer(400, json.dumps({"message": f"{words} s3/cr&t1"}).encode())]
    with (
        site.serve() as url,
        closing(Session(url, api_interval=0, retries=0, secrets=SECRETS)) as session,
        pytest.raises(FetchError) as error,
        session.get(f"{url}/index.php", session.api_limiter),
    ):
        pass
    assert str(error.value) == f"{url}/index.php: answered HTTP 400: {words}"


def test_a_key_in_messages_and_in_errors_of_attempts() -> None:
    messages = list[str]()
    session = Session("http://booru.test", secrets=SECRETS, log=messages.append)

    def fail() -> None:
        raise PipelineError("takes no s3/cr&t1")

    with pytest.raises(PipelineError, match=r"^takes no \.\.\.$"):
        session.retry(fail)
    session.log("takes no S3/CR&T1")
    assert messages == ["takes no ..."]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("/4711081/47110810.png", "/.../47110810.png"),
        ("id%3D4711081%26", "id%3D...%26"),
        ("s3%2Fcr%26%741", "..."),
    ],
)
def test_values_are_found_as_words(text: str, masked: str) -> None:
    assert SECRETS.mask(text) == masked


def test_the_id_of_an_early_user_is_no_status() -> None:
    assert Secrets("", "403").mask("answered HTTP 403") == "answered HTTP 403"


def test_secrets_of_the_environment() -> None:
    environment = {"PIPELINE_API_KEY": "abc\n", "PIPELINE_USER_ID": "somebody"}
    assert Secrets.of(environment) == Secrets("abc", "somebody")
    assert Secrets.of({}).mask("abc") == "abc"
