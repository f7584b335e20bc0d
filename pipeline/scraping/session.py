"""HTTP with manners: one site's hosts, robots.txt, rate limits, retries, an honest name."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import requests
from requests.adapters import HTTPAdapter
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from pipeline.errors import UsageError
from pipeline.scraping.fetch_errors import (
    FetchError,
    SiteError,
    Stopped,
    TransientError,
    UnreachableError,
    refuse_challenge,
    retry_after,
    translated,
)

AGENT = "anime-sr-pipeline"
LONGEST_WAIT = 900.0
LONGEST_BACKOFF = 60.0

_SHORTEST_BACKOFF = 0.1
_MAX_REDIRECTS = 5
_MAX_ROBOTS_BYTES = 500_000
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_PAUSING = frozenset({429, 503})

T = TypeVar("T")


class RateLimiter:
    """Lets requests start `interval` seconds apart, from any number of threads."""

    def __init__(self, interval: float, stop: threading.Event) -> None:
        self.interval, self._stop = interval, stop
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self) -> None:
        """Return when the next request may start. Raises `Stopped`."""
        while not self._stop.is_set():
            with self._lock:
                now = time.monotonic()
                delay = self._free_at - now
                if delay <= 0:
                    self._free_at = now + self.interval
                    return
            self._stop.wait(delay)
        raise Stopped

    def hold(self, seconds: float) -> None:
        """Let no request start for the next `seconds`."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic() + seconds)

    def slow_to(self, interval: float) -> None:
        """Make the interval at least this long."""
        with self._lock:
            self.interval = max(self.interval, interval)


class Session:
    """Polite GET requests to one site, shared by any number of threads.

    `api` and `files` are its rate limiters; `tell` says something to whoever watches. The pause
    before a second try is near `api_interval`, and doubles from try to try. Every method raises
    `Stopped` once `stop` is set.
    """

    def __init__(
        self,
        site: str,
        *,
        contact: str = "",
        api_interval: float = 1.0,
        file_interval: float = 0.1,
        retries: int = 5,
        timeout: float = 30.0,
        connections: int = 8,
        stop: threading.Event | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._site = _parsed(site)
        if self._site is None:
            raise UsageError(f"scrape.site: {site!r} is no address of a site")
        self._stop = stop or threading.Event()
        self.api = RateLimiter(api_interval, self._stop)
        self.files = RateLimiter(file_interval, self._stop)
        self._timeout, self.tell = timeout, tell
        self._attempts = stop_after_attempt(retries + 1)
        pause = max(_SHORTEST_BACKOFF, api_interval)
        self._backoff = wait_exponential(pause, LONGEST_BACKOFF) + wait_random(0, pause)
        self._robots: dict[str, RobotFileParser] = {}
        self._robots_lock = threading.Lock()
        self._http = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=connections)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)
        self._http.headers["User-Agent"] = user_agent(contact).encode()

    def close(self) -> None:
        """Close the idle connections."""
        self._http.close()

    def check_stop(self) -> None:
        """Raise `Stopped` if the work was told to stop."""
        if self._stop.is_set():
            raise Stopped

    def owns(self, url: str) -> bool:
        """Whether `url` is http(s) on the site's own host or a subdomain of it."""
        assert self._site is not None
        return _same_site(_parsed(url), self._site)

    def retry(self, call: Callable[[], T]) -> T:
        """Call `call` again after each `TransientError`, with growing pauses, then raise it."""
        retrying = Retrying(
            stop=self._attempts,
            wait=self._delay,
            retry=retry_if_exception_type(TransientError),
            before_sleep=self._before_sleep,
            sleep=sleep_using_event(self._stop),
            reraise=True,
        )
        return retrying(call)

    @contextmanager
    def get(
        self,
        url: str,
        limiter: RateLimiter,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        """Yield the streamed answer 200, 206 or 416 of `url`, redirects within the site followed.

        Raises `TransientError`, `FetchError` or `SiteError`, from the block's reads too.
        """
        with translated(url):
            address = requests.Request("GET", url, params=params).prepare().url or url
            with self._follow(address, limiter, headers) as response:
                self._check_status(response)
                yield response

    def _follow(
        self,
        url: str,
        limiter: RateLimiter,
        headers: Mapping[str, str] | None,
        *,
        obey_robots: bool = True,
    ) -> requests.Response:
        for _ in range(_MAX_REDIRECTS + 1):
            if obey_robots:
                self._obey_robots(url)
            limiter.wait()
            response = self._http.get(
                url, headers=headers, timeout=self._timeout, stream=True, allow_redirects=False
            )
            if not response.is_redirect:
                return response
            response.close()
            url = urljoin(url, response.headers["location"])
            if not self.owns(url):
                raise FetchError(response.url, "off_site", f"redirects off the site to {url}")
        raise FetchError(url, "redirects", f"more than {_MAX_REDIRECTS} redirects")

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            return
        start = next(response.iter_content(4096), b"")
        refuse_challenge(response, start)
        if status in _RETRIED:
            error = TransientError(response.url, f"http_{status}", f"answered HTTP {status}")
            error.wait = self._retry_after(response)
            error.for_all = status in _PAUSING
            raise error
        raise FetchError(response.url, f"http_{status}", f"answered HTTP {status}")

    def _retry_after(self, response: requests.Response) -> float:
        wait = retry_after(response.headers.get("Retry-After", ""))
        if wait > LONGEST_WAIT:
            raise SiteError(
                response.url,
                f"answered HTTP {response.status_code} and asks to wait {wait:.0f} s; "
                "run the same command again then",
            )
        return wait

    def _delay(self, state: RetryCallState) -> float:
        return max(self._backoff(state), _failure(state).wait)

    def _before_sleep(self, state: RetryCallState) -> None:
        error = _failure(state)
        seconds = state.next_action.sleep if state.next_action else 0.0
        if error.for_all:
            self.api.hold(seconds)
            self.files.hold(seconds)
        if error.for_all or isinstance(error, UnreachableError):
            self.tell(f"{error}; next try in {seconds:.0f} s")

    def _obey_robots(self, url: str) -> None:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._robots_lock:
            robots = self._robots.get(origin)
            if robots is None:
                robots = self._robots[origin] = self._read_robots(f"{origin}/robots.txt")
        if not robots.can_fetch(AGENT, url):
            problem = f"{origin}/robots.txt does not allow {AGENT} to fetch this"
            raise FetchError(url, "robots_txt", problem)

    def _read_robots(self, url: str) -> RobotFileParser:
        """Rules of a host by RFC 9309: none when there is no file, all forbidden when it is."""
        robots = RobotFileParser(url)
        try:
            with (
                translated(url),
                self._follow(url, self.api, None, obey_robots=False) as response,
            ):
                self._check_status(response)
                body = next(response.iter_content(_MAX_ROBOTS_BYTES), b"")
        except TransientError:
            raise
        except FetchError as error:
            forbidden = error.reason in ("http_401", "http_403")
            body = b"User-agent: *\nDisallow: /" if forbidden else b""
        robots.parse(body.decode("utf-8", "replace").splitlines())
        if delay := robots.crawl_delay(AGENT):
            self.tell(f"{url} asks for {delay} s between two requests")
            self.api.slow_to(float(delay))
            self.files.slow_to(float(delay))
        return robots


def user_agent(contact: str) -> str:
    """The program's name and version, and whom to write to."""
    return f"{AGENT}/{version(AGENT)}" + (f" (+{contact})" if contact else "")


def _failure(state: RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TransientError)
    return error


def _parsed(url: str) -> Url | None:
    """`url` as the HTTP library itself will read it, or None if it is no http(s) address."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.host else None


def _same_site(url: Url | None, site: Url) -> bool:
    if url is None or url.auth or url.port not in (None, 80, 443, site.port):
        return False
    host, home = (url.host or "").lower(), (site.host or "").lower().removeprefix("www.")
    if host == home:
        return True
    try:
        ip_address(home.strip("[]"))
    except ValueError:
        return host.endswith("." + home)
    return False
