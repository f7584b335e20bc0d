"""The polite session, over real HTTP on loopback."""

import socket
import threading
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import version
from itertools import pairwise

import pytest

from pipeline.errors import PipelineError, UsageError
from pipeline.scraping.addresses import leads_to_login, named_host
from pipeline.scraping.fetch_errors import (
    FetchError,
    SiteError,
    Stopped,
    TransientError,
    rate_limit_wait,
    retry_after,
)
from pipeline.scraping.rate_limiter import RateLimiter
from pipeline.scraping.session import MAX_RETRY_AFTER, Session
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
    truncated,
)

FILE = "/images/1/1.png"


def fetch(url: str, retries: int = 0, **options: object) -> tuple[int, bytes]:
    """One GET of `url`, with retries without pauses."""
    site = url.partition("/images")[0]
    session = Session(
        site,
        api_interval=0,
        file_interval=0,
        retries=retries,
        **options,  # type: ignore[arg-type]
    )

    def get() -> tuple[int, bytes]:
        with session.get(url, session.file_limiter) as response:
            return response.status_code, response.content

    try:
        return session.retry(get)
    finally:
        session.close()


def test_user_agent_and_robots_come_first() -> None:
    site = ScriptedSite(1)
    with site.serve() as url:
        status, body = fetch(url + FILE, contact="me@site.test, 例")
    assert (status, body) == (200, site.files[FILE])
    assert site.paths() == ["/robots.txt", FILE]
    expected = f"anime-sr-pipeline/{version('anime-sr-pipeline')} (+me@site.test, 例)"
    for _, headers in site.requests:
        assert headers["User-Agent"].encode("latin-1").decode() == expected


@pytest.mark.parametrize(
    ("status", "text", "allowed"),
    [
        (404, "", True),
        (200, "User-agent: *\nDisallow:", True),
        (200, "User-agent: *\nDisallow: /images", False),
        (200, "User-agent: *\nDisallow: /\nUser-agent: anime-sr-pipeline\nDisallow: /x", True),
        (200, "User-agent: anime-sr-pipeline\nDisallow: /", False),
        (200, PAGE.decode(), True),
        (401, "", True),
        (403, "", True),
    ],
)
def test_robots_txt(status: int, text: str, allowed: bool) -> None:
    site = ScriptedSite(1)
    site.robots = (status, text)
    with site.serve() as url:
        if allowed:
            assert fetch(url + FILE)[0] == 200
        else:
            with pytest.raises(FetchError, match=r"robots\.txt does not allow"):
                fetch(url + FILE)
            assert site.paths() == ["/robots.txt"]


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_robots_txt_in_chunks(size: int) -> None:
    site = ScriptedSite(1)
    site.robots = (200, "User-agent: *\nDisallow: /other\nDisallow: /images")
    site.robots_chunk = size
    with site.serve() as url, pytest.raises(FetchError, match=r"robots\.txt does not allow"):
        fetch(url + FILE)


@pytest.mark.parametrize(
    ("status", "rules", "allowed"),
    [(200, "Disallow: /images", False), (200, "Disallow:", True), (404, "", True)],
)
def test_robots_txt_of_another_host(status: int, rules: str, allowed: bool) -> None:
    """Redirects of robots.txt are followed, also off the site (RFC 9309, 2.3.1.2)."""
    site, other = ScriptedSite(1), ScriptedSite(1)
    other.robots = (status, f"User-agent: *\n{rules}")
    with site.serve() as url, other.serve() as other_url:
        site.robots_location = f"{other_url}/robots.txt"
        if allowed:
            assert fetch(url + FILE) == (200, site.files[FILE])
        else:
            with pytest.raises(FetchError, match=r"robots\.txt does not allow"):
                fetch(url + FILE)
    assert other.paths() == ["/robots.txt"]


def test_robots_txt_of_the_host_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The site is a proxy here, to which all names lead."""
    for name in ("no_proxy", "NO_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    site = ScriptedSite(1)
    site.robots = (200, "User-agent: *\nDisallow: /images")
    with site.serve() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        session = Session("http://booru.test", api_interval=0)
        with session.get("http://booru.test/index.php", session.api_limiter):
            pass
        with (
            pytest.raises(FetchError, match=r"http://img\.booru\.test/robots\.txt does not"),
            session.get(f"http://img.booru.test{FILE}", session.file_limiter),
        ):
            pass
        session.close()
    assert [path for path, _ in site.requests] == [
        "http://booru.test/robots.txt",
        "http://booru.test/index.php",
        "http://img.booru.test/robots.txt",
    ]


def test_the_environment_is_read_once_for_each_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests reads all of it for each request, which takes longer than many files."""
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ScriptedSite(1).serve() as url:
        session = Session(url, api_interval=0, file_interval=0)
        with session.get(url + FILE, session.file_limiter):
            monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        with session.get(url + FILE, session.file_limiter) as response:
            assert response.status_code == 200
        session.close()


@pytest.mark.parametrize("status", [500, 503, 505])
def test_robots_txt_that_cannot_be_read_forbids_all(status: int) -> None:
    site = ScriptedSite(1)
    site.robots = (status, "")
    with site.serve() as url, pytest.raises(TransientError) as error:
        fetch(url + FILE, retries=2)
    assert str(error.value) == f"{url}/robots.txt: answered HTTP {status}"
    assert site.paths() == ["/robots.txt"] * 3


def test_robots_txt_redirects_end() -> None:
    """After five of them it counts as missing (RFC 9309, 2.3.1.2)."""
    site = ScriptedSite(1)
    site.robots = (200, "User-agent: *\nDisallow: /images")
    site.robots_location = "/robots.txt"
    with site.serve() as url:
        assert fetch(url + FILE)[0] == 200
    assert site.paths().count("/robots.txt") == 6


def allows(rules: str, path: str) -> bool:
    """Whether a robots.txt with `rules` for all agents lets `path` be fetched."""
    site = ScriptedSite(1)
    site.files[path.partition("?")[0]] = b"x"
    site.robots = (200, f"User-agent: *\n{rules}")
    with site.serve() as url:
        session = Session(url, api_interval=0, file_interval=0)
        try:
            with session.get(url + path, session.file_limiter):
                pass
        except FetchError as error:
            if error.reason != "robots_txt":
                raise
            return False
        finally:
            session.close()
    return True


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/images/1/1.png", False), ("/images/1", True), ("/other/1/1.png", True)],
)
def test_robots_txt_wildcard(path: str, allowed: bool) -> None:
    assert allows("Disallow: /images/*/", path) is allowed


@pytest.mark.parametrize(
    ("path", "allowed"), [("/a.png", False), ("/a.png.txt", True), ("/a.png?b", True)]
)
def test_robots_txt_end_of_path(path: str, allowed: bool) -> None:
    assert allows("Disallow: /*.png$", path) is allowed


@pytest.mark.parametrize(
    "rules",
    [
        "Disallow: /images\nAllow: /images/1",
        "Allow: /images/1\nDisallow: /images",
        "Disallow: /images/1\nAllow: /images/1",
    ],
)
def test_robots_txt_longest_match(rules: str) -> None:
    """In any order; where two are of the same length, the one that allows counts (RFC 9309)."""
    assert allows(rules, FILE)
    assert not allows("Allow: /images\nDisallow: /images/1", FILE)


@pytest.mark.parametrize(("value", "interval"), [("0.3", 0.3), ("-3", 0), ("soon", 0), ("inf", 0)])
def test_crawl_delay(value: str, interval: float) -> None:
    """It is the least time between any two requests, of the API or of files."""
    site, messages = ScriptedSite(1), list[str]()
    site.robots = (200, f"User-agent: *\nCrawl-delay: {value}")
    with site.serve() as url:
        session = Session(url, api_interval=0, file_interval=0, log=messages.append)
        limiters = (session.file_limiter, session.api_limiter) * 2
        for limiter in limiters:
            with session.get(url + FILE, limiter):
                pass
        session.close()
    asked = [f"{url}/robots.txt asks for {interval:g} s between two requests"]
    assert messages == (asked if interval else [])
    pauses = [after - before for before, after in pairwise(site.times[1:])]
    assert all(pause > 0.9 * interval for pause in pauses)
    assert len(pauses) == 3


@pytest.mark.parametrize("value", ["901", "86400", "1e300"])
def test_a_crawl_delay_that_is_too_long_ends_the_run(value: str) -> None:
    site = ScriptedSite(1)
    site.robots = (200, f"User-agent: *\nCrawl-delay: {value}")
    with site.serve() as url, pytest.raises(SiteError) as error:
        fetch(url + FILE)
    assert str(error.value) == (
        f"{url}/robots.txt: asks for {float(value):g} s between two requests, more than the 900 s "
        "that this program waits; use another site, or ask this one's owner"
    )


@pytest.mark.parametrize(
    "fault",
    [answer(500), answer(502, PAGE), answer(429, Retry_After="0"), answer(503), dropped, truncated],
)
def test_transient_errors_are_retried(fault: object) -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [fault, fault]  # type: ignore[list-item]
    with site.serve() as url:
        assert fetch(url + FILE, retries=2) == (200, site.files[FILE])
    assert site.paths().count(FILE) == 3


def test_retries_end() -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [answer(500)] * 9
    with site.serve() as url:
        with pytest.raises(TransientError, match="answered HTTP 500") as error:
            fetch(url + FILE, retries=3)
        assert str(error.value).startswith(url + FILE)
    assert error.value.reason == "http_500"
    assert site.paths().count(FILE) == 4


def test_terminals_obey_no_message_of_a_site() -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [answer(404, b'{"message": "\\u001b]0;me\\u0007\\u001b[2Jgone"}')]
    with site.serve() as url, pytest.raises(FetchError) as error:
        fetch(url + FILE)
    assert str(error.value) == f"{url}{FILE}: answered HTTP 404: ]0;me[2Jgone"


def test_an_address_is_one_line() -> None:
    assert str(FetchError("http://a.test/\x1b[2J", "x", "is\nbad")) == "http://a.test/[2J: is bad"


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [answer(status)]
    with site.serve() as url, pytest.raises(FetchError) as error:
        fetch(url + FILE, retries=3)
    assert (error.value.reason, site.paths().count(FILE)) == (f"http_{status}", 1)


def no_http(handler: Handler, _: bytes) -> None:
    handler.wfile.write(b"220 ready\r\n\r\n")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (dropped, "the connection broke"),
        (no_http, "the connection broke: its answer is no HTTP: 220 ready"),
        (
            answer(200, **{f"X-{number}": "" for number in range(200)}),
            "the connection broke: its answer is no HTTP: got more than 100 headers",
        ),
    ],
)
def test_an_answer_that_is_no_http_is_named(fault: Fault, problem: str) -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [fault]
    with site.serve() as url, pytest.raises(TransientError) as error:
        fetch(url + FILE)
    assert error.value.problem == problem


def test_a_compression_that_was_not_asked_for_is_named() -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [answer(200, b"?", Content_Encoding=name) for name in ("none", "dcz, gzip")]
    with site.serve() as url:
        assert fetch(url + FILE) == (200, b"?")
        with pytest.raises(TransientError, match="is compressed as dcz, which was not asked for"):
            fetch(url + FILE)


def test_a_pause_applies_to_all_requests() -> None:
    """The second request of another thread comes only after the first one's Retry-After."""
    site, held = ScriptedSite(2), threading.Event()
    site.faults[FILE] = [answer(429, Retry_After="1")]
    with site.serve() as url:
        session = Session(url, api_interval=0, file_interval=0, log=lambda _: held.set())

        def get() -> None:
            with session.get(url + FILE, session.file_limiter):
                pass

        thread = threading.Thread(target=lambda: session.retry(get))
        thread.start()
        assert held.wait(10)
        with session.get(url + "/index.php", session.api_limiter):
            pass
        thread.join()
    (limited, other) = (site.times[site.paths().index(path)] for path in (FILE, "/index.php"))
    assert other - limited >= 1.0
    assert site.paths().count(FILE) == 2


@pytest.mark.parametrize(
    ("interval", "fault", "message"),
    [
        (10.0, dropped, "the connection broke; next try in "),
        (10.0, dripping, "the server fell silent, or sent less than 1000 bytes a second; next try"),
        (0.0, answer(500, Retry_After="6"), "answered HTTP 500; next try in 6 s"),
    ],
)
def test_a_long_wait_is_reported(interval: float, fault: Fault, message: str) -> None:
    site, stop, messages = ScriptedSite(9), threading.Event(), list[str]()
    site.faults["/index.php"] = [fault]

    def log(text: str) -> None:
        messages.append(text)
        stop.set()

    with (
        site.serve() as url,
        closing(Session(url, api_interval=interval, timeout=1.5, stop=stop, log=log)) as session,
    ):
        # robots.txt takes the first turn.
        session.api_limiter.interval = 0.0
        with pytest.raises(Stopped):
            get_all(session, f"{url}/index.php")
    assert len(messages) == 1
    assert message in messages[0]


def get_all(session: Session, url: str) -> bytes:
    def get() -> bytes:
        with session.get(url, session.api_limiter) as response:
            return b"".join(session.chunks(response))

    return session.retry(get)


def test_a_pause_that_is_too_long_ends_the_run() -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [answer(503, Retry_After="86400")]
    with site.serve() as url, pytest.raises(SiteError, match="asks to wait 86400 s"):
        fetch(url + FILE, retries=3)


LIMIT = '{"cost": 1, "limits": {"user": -1}, "rate": 0.001}'


@pytest.mark.parametrize(
    "fault", [answer(500, Retry_After="3600"), answer(504, X_Rate_Limit=LIMIT)]
)
def test_a_pause_that_is_too_long_for_one_file(fault: Fault) -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [fault]
    with site.serve() as url, pytest.raises(FetchError, match="and asks to wait") as error:
        fetch(url + FILE, retries=3)
    assert error.value.reason.startswith("http_50")
    assert not isinstance(error.value, TransientError)
    assert site.paths().count(FILE) == 1


@pytest.mark.parametrize("path", ["/robots.txt", "/index.php"])
def test_a_pause_that_is_too_long_for_the_listing_ends_the_run(path: str) -> None:
    site = ScriptedSite(1)
    site.faults["/index.php"] = [answer(500, Retry_After="3600")]
    if path == "/robots.txt":
        site.robots_location = "/index.php"
    with (
        site.serve() as url,
        closing(Session(url, api_interval=0, retries=0)) as session,
        pytest.raises(SiteError, match="asks to wait 3600 s"),
        session.get(f"{url}/index.php", session.api_limiter),
    ):
        pass


@pytest.mark.parametrize("wait", ["3600", "60", "999999999"])
def test_a_rate_limit_holds_all_requests(wait: str) -> None:
    """Also where it ends the run, or is the last try: other threads have requests to make yet."""
    site, stop = ScriptedSite(1), threading.Event()
    site.faults["/index.php"] = [answer(429, Retry_After=wait)]
    with site.serve() as url, closing(Session(url, file_interval=0, stop=stop)) as session:
        with (
            pytest.raises((SiteError, TransientError)),
            session.get(f"{url}/index.php", session.api_limiter),
        ):
            pass
        timer = threading.Timer(0.3, stop.set)
        timer.start()
        with pytest.raises(Stopped), session.get(url + FILE, session.file_limiter):
            pass
        timer.join()
    assert site.paths() == ["/robots.txt", "/index.php"]


@pytest.mark.parametrize(
    "fault",
    [answer(403, CHALLENGE), answer(503, CHALLENGE), answer(403, b"", cf_mitigated="challenge")],
)
def test_a_challenge_ends_the_run(fault: object) -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [fault]  # type: ignore[list-item]
    with site.serve() as url, pytest.raises(SiteError, match="proof of a human"):
        fetch(url + FILE, retries=3)
    assert site.paths().count(FILE) == 1


def test_a_challenge_in_chunks_ends_the_run() -> None:
    site = ScriptedSite(1)
    site.files[FILE] = CHALLENGE
    site.faults[FILE] = [chunked(20, status=503)]
    with site.serve() as url, pytest.raises(SiteError, match="proof of a human"):
        fetch(url + FILE, retries=3)


def test_redirects() -> None:
    site = ScriptedSite(1)
    with site.serve() as url:
        site.faults["/images/old.png"] = [answer(302, Location=FILE)] * 2
        assert fetch(url + "/images/old.png") == (200, site.files[FILE])
        site.faults["/images/loop.png"] = [answer(301, Location="/images/loop.png")] * 9
        with pytest.raises(FetchError, match="more than 5 redirects"):
            fetch(url + "/images/loop.png", retries=3)
        site.faults["/images/2.png"] = [answer(301, Location="/images/x/../1/1.png#x")]
        assert fetch(url + "/images/2.png") == (200, site.files[FILE])
        site.faults["/images/away.png"] = [answer(302, Location="http://localhost:1/x.png")]
        with pytest.raises(FetchError, match="redirects off the site to http://localhost:1/x"):
            fetch(url + "/images/away.png", retries=3)


@pytest.mark.parametrize(
    ("target", "is_login"),
    [
        ("http://b.test/user/login?next=%2F", True),
        ("http://b.test/index.php?page=account&s=login&code=00", True),
        ("https://id.test/sign_in", True),
        ("http://b.test/session/new", True),
        ("http://login.b.test/", True),
        ("http://b.test/?tags=login_screen", False),
        ("http://b.test/images/blogin.png", False),
    ],
)
def test_redirects_to_log_in(target: str, is_login: bool) -> None:
    assert leads_to_login("http://b.test/index.php?tags=a", target) is is_login


def test_a_long_address_is_cut_in_a_message() -> None:
    error = FetchError(f"https://b.test/?tags={'a+' * 60_000}", "http_414", "answered HTTP 414")
    assert len(str(error)) < 600
    assert str(error).endswith("a+a...: answered HTTP 414")


def test_a_redirect_of_a_search_for_login_is_none_to_log_in() -> None:
    assert not leads_to_login("http://b.test/?tags=login", "https://b.test/?tags=login")


def test_a_redirect_that_robots_txt_does_not_allow() -> None:
    site = ScriptedSite(1)
    site.robots = (200, "User-agent: *\nDisallow: /images/1/")
    with site.serve() as url:
        host = url.removeprefix("http://")
        site.faults["/2.png"] = [answer(301, Location=f"http://{host}/2/../images/./1/1.png")]
        with pytest.raises(FetchError) as error:
            fetch(f"{url}/2.png")
    assert error.value.reason == "robots_txt"


@pytest.mark.parametrize(
    ("location", "path"),
    [
        # As http.server writes them: raw UTF-8, and raw Latin-1.
        ("/images/\xe7\xb5\xb5.png", "/images/%E7%B5%B5.png"),
        ("/images/\xe9 .png", "/images/%E9%20.png"),
    ],
)
def test_a_redirect_in_raw_bytes(location: str, path: str) -> None:
    site = ScriptedSite(1)
    site.files[path] = b"moved"
    site.faults[FILE] = [answer(302, Location=location)]
    with site.serve() as url:
        assert fetch(url + FILE) == (200, b"moved")


@pytest.mark.parametrize(
    "location",
    [
        "http://[",
        "//[x]/",
        "http://\xe2\x84\x80.test/",
        "http://a..b/",
        "http://127.0.0.1:99999/",
        "http://%zz/",
        "file:///etc/passwd",
    ],
)
def test_a_redirect_to_no_address(location: str) -> None:
    site = ScriptedSite(1)
    site.faults[FILE] = [answer(302, Location=location)]
    with site.serve() as url, pytest.raises(FetchError) as error:
        fetch(url + FILE)
    assert str(error.value).startswith(url)


def test_a_robots_txt_that_redirects_to_no_address_allows_all() -> None:
    site = ScriptedSite(1)
    site.robots_location = "http://["
    with site.serve() as url:
        assert fetch(url + FILE)[0] == 200


@pytest.mark.parametrize(
    ("site", "url", "owned"),
    [
        ("https://b.test", "https://b.test/1.png", True),
        ("https://b.test", "http://B.TEST/1.png", True),
        ("https://b.test", "https://img3.b.test/1.png", True),
        ("https://www.b.test", "https://b.test/1.png", True),
        ("https://b.test", "https://img.b.test./1.png", True),
        ("https://www.b.test.", "https://b.test/1.png", True),
        ("https://b.test", "https://ab.test/1.png", False),
        ("https://b.test", "https://b.test.evil/1.png", False),
        ("https://b.test", "ftp://b.test/1.png", False),
        ("https://b.test", "file:///etc/passwd", False),
        ("https://b.test", "https://b.test:8080/1.png", False),
        ("https://b.test", "https://evil.test\\@b.test/1.png", False),
        ("https://b.test", "https://me:secret@b.test/1.png", False),
        ("http://127.0.0.1:8931", "http://127.0.0.1:8931/1.png", True),
        ("http://127.0.0.1:8931", "http://127.0.0.1:22/", False),
        ("http://127.0.0.1:8931", "http://x.127.0.0.1:8931/", False),
        ("http://127.0.0.1:8931", "http://127.0.0.2:8931/", False),
        ("http://[::1]:8931", "http://[::1]:8931/1.png", True),
    ],
)
def test_own_hosts(site: str, url: str, owned: bool) -> None:
    assert Session(site).owns(url) is owned


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://img.test/1.png", "img.test"),
        ("https://img.test:443/1.png", "img.test"),
        ("http://b.test:8001/1.png", "b.test:8001"),
        ("http://[::1]:8001/1.png", "[::1]:8001"),
        ("https://me:secret@b.test/1.png", "b.test with a user name"),
        ("file:///etc/passwd", "no host"),
    ],
)
def test_a_host_is_named_with_what_makes_it_another(url: str, name: str) -> None:
    assert named_host(url) == name


@pytest.mark.parametrize("site", ["http://[bad", "ftp://b.test", "b.test", "http://:80"])
def test_a_bad_site(site: str) -> None:
    with pytest.raises(UsageError, match=r"^scrape\.site: .* is no address of a site$"):
        Session(site)


def test_an_unreachable_site() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(PipelineError) as error:
        fetch(f"http://127.0.0.1:{port}{FILE}", retries=1)
    assert str(error.value) == (
        f"http://127.0.0.1:{port}/robots.txt: cannot be reached: Connection refused"
    )


def test_retry_after() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    assert retry_after("7") == 7
    assert 55 < retry_after(format_datetime(now + timedelta(seconds=60), usegmt=True)) <= 60
    for nothing in ("", "soon", "-3", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00"):
        assert retry_after(nothing) == 0
    huge = "9" * 20
    assert retry_after("1.5") == 1.5
    assert retry_after(huge) > MAX_RETRY_AFTER
    for broken in (
        "1e3",
        "inf",
        "²",
        f"Wed, 21 Oct {huge} 07:28:00",
        f"Wed, 21 Oct 2015 07:28:00 +{huge}",
    ):
        assert retry_after(broken) == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ('{"cost":1,"rate":0.5,"limits":{"ip/1.2.3.4":-2,"user/7":3}}', 6),
        ('{"cost":1,"rate":0.5,"limits":{"user/7":3}}', 0),
        ('{"cost":1,"rate":0,"limits":{"user/7":-3}}', 0),
        ('{"cost":1,"rate":1,"limits":{}}', 0),
        ('{"cost":1,"rate":1,"limits":[3]}', 0),
        ('{"cost":"1","rate":1,"limits":{"a":-3}}', 0),
        ("[" * 100_000, 0),
        ("", 0),
    ],
)
def test_rate_limit_wait(value: str, seconds: float) -> None:
    assert rate_limit_wait(value) == seconds


def test_the_longest_of_several_pauses_counts() -> None:
    def limited(handler: Handler, _: bytes) -> None:
        handler.send_response(503)
        for name, value in (("Retry-After", "1"), ("Retry-After", "2"), ("Content-Length", "0")):
            handler.send_header(name, value)
        handler.end_headers()

    site = ScriptedSite(1)
    site.faults[FILE] = [limited]
    with site.serve() as url, pytest.raises(TransientError) as error:
        fetch(url + FILE)
    assert error.value.wait == 2


def test_a_date_to_wait_for_counts_from_the_answer_s_own() -> None:
    """Its clock may be wrong."""
    date, then = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:30:00 GMT"
    assert retry_after(then, date) == 120
    assert retry_after(date, then) == 0
    assert retry_after(then, "soon") == 0
    assert retry_after("7", date) == 7


def test_headers_that_come_too_slowly() -> None:
    """The timeout of a read begins anew with each byte."""

    def drip(handler: Handler, body: bytes) -> None:
        with suppress(ConnectionError):
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.":
                handler.wfile.write(bytes([byte]))
                time.sleep(0.02)

    site = ScriptedSite(1)
    site.faults[FILE] = [drip]
    with site.serve() as url, pytest.raises(TransientError) as error:
        fetch(url + FILE, timeout=0.3)
    assert error.value.reason == "timeout"


def test_a_stopped_limiter_lets_nobody_through() -> None:
    stop = threading.Event()
    limiter = RateLimiter(1000.0, stop)
    limiter.wait()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Stopped):
        limiter.wait()
