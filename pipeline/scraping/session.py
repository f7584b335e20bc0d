"""A polite HTTP session with one site: robots.txt, rate limits, retries, an honest User-Agent."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from protego import Protego
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
    raise_for_challenge,
    retry_after,
    translate_errors,
)
from pipeline.scraping.rate_limiter import RateLimiter

AGENT = "anime-sr-pipeline"
MAX_RETRY_AFTER = 900.0
MAX_BACKOFF = 60.0

_MIN_BACKOFF = 0.1
_MAX_REDIRECTS = 5
_MAX_ROBOTS_BYTES = 500_000
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_RATE_LIMIT_STATUSES = frozenset({429, 503})

T = TypeVar("T")


class Session:
    """HTTP session for GET requests to one site. Thread-safe.

    `api_limiter` and `file_limiter` space the requests; `log` gets messages for the user. The
    pause before the first retry is about `api_interval` seconds, and doubles with each retry.
    Every method raises `Stopped` once `stop` is set. Raises `UsageError` where `site` is no http(s)
    address.
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
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._site = _parse_http_url(site)
        if self._site is None:
            raise UsageError(f"scrape.site: {site!r} is no address of a site")
        self._stop = stop or threading.Event()
        self.api_limiter = RateLimiter(api_interval, self._stop)
        self.file_limiter = RateLimiter(file_interval, self._stop)
        self._timeout, self.log = timeout, log
        self._attempts = stop_after_attempt(retries + 1)
        pause = max(_MIN_BACKOFF, api_interval)
        self._backoff = wait_exponential(pause, MAX_BACKOFF) + wait_random(0, pause)
        self._robots: dict[str, Protego] = {}
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
        """Raise `Stopped` once the run is to stop."""
        if self._stop.is_set():
            raise Stopped

    def owns(self, url: str) -> bool:
        """Return whether `url` is http(s) on the site's own host or a subdomain of it."""
        assert self._site is not None
        return _same_site(_parse_http_url(url), self._site)

    def retry(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, called again after each `TransientError`.

        Pauses grow from try to try. Raises the last `TransientError` when the retries are used up.
        """
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
        """Yield the streamed response of `url` with status 200, 206 or 416.

        Redirects within the site are followed. Raises `TransientError`, `FetchError` or
        `SiteError`, also for reads inside the `with` block.
        """
        with translate_errors(url):
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
                self._check_robots(url)
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
        raise_for_challenge(response, start)
        if status in _RETRIED_STATUSES:
            error = TransientError(response.url, f"http_{status}", f"answered HTTP {status}")
            error.wait = self._retry_after(response)
            error.pause_all = status in _RATE_LIMIT_STATUSES
            raise error
        raise FetchError(response.url, f"http_{status}", f"answered HTTP {status}")

    def _retry_after(self, response: requests.Response) -> float:
        wait = retry_after(response.headers.get("Retry-After", ""))
        if wait > MAX_RETRY_AFTER:
            raise SiteError(
                response.url,
                f"answered HTTP {response.status_code} and asks to wait {wait:.0f} s; "
                "run the same command again then",
            )
        return wait

    def _delay(self, state: RetryCallState) -> float:
        return max(self._backoff(state), _last_error(state).wait)

    def _before_sleep(self, state: RetryCallState) -> None:
        error = _last_error(state)
        seconds = state.next_action.sleep if state.next_action else 0.0
        if error.pause_all:
            self.api_limiter.hold(seconds)
            self.file_limiter.hold(seconds)
        if error.pause_all or isinstance(error, UnreachableError):
            self.log(f"{error}; next try in {seconds:.0f} s")

    def _check_robots(self, url: str) -> None:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._robots_lock:
            robots = self._robots.get(origin)
            if robots is None:
                robots = self._robots[origin] = self._read_robots(f"{origin}/robots.txt")
        if not robots.can_fetch(url, AGENT):
            problem = f"{origin}/robots.txt does not allow {AGENT} to fetch this"
            raise FetchError(url, "robots_txt", problem)

    def _read_robots(self, url: str) -> Protego:
        """Fetch and parse a host's robots.txt (RFC 9309), and respect its Crawl-delay.

        A missing file allows everything, a refused one (401, 403) nothing. Raises
        `TransientError` where it cannot be fetched now: then nothing may be fetched.
        """
        try:
            with (
                translate_errors(url),
                self._follow(url, self.api_limiter, None, obey_robots=False) as response,
            ):
                self._check_status(response)
                body = next(response.iter_content(_MAX_ROBOTS_BYTES), b"")
        except TransientError:
            raise
        except FetchError as error:
            refused = error.reason in ("http_401", "http_403")
            body = b"User-agent: *\nDisallow: /" if refused else b""
        robots = Protego.parse(body.decode("utf-8-sig", "replace"))
        delay = robots.crawl_delay(AGENT)
        # Longer delays are nonsense, and more than a thread can wait.
        if delay is not None and 0 < delay <= threading.TIMEOUT_MAX:
            self.log(f"{url} asks for {delay:g} s between two requests")
            self.api_limiter.slow_down_to(delay)
            self.file_limiter.slow_down_to(delay)
        return robots


def user_agent(contact: str) -> str:
    """Return the User-Agent header: name, version and, where there is one, the contact."""
    return f"{AGENT}/{version(AGENT)}" + (f" (+{contact})" if contact else "")


def _last_error(state: RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TransientError)
    return error


def _parse_http_url(url: str) -> Url | None:
    """Parse `url` as the HTTP library itself does; None if it is no http(s) address."""
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
