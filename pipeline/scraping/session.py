"""A polite HTTP session with one site: robots.txt, rate limits, retries, an honest User-Agent."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TypeVar
from urllib.parse import urlsplit

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

from pipeline.errors import UsageError
from pipeline.scraping.addresses import CheckedSession, parse_address, same_site
from pipeline.scraping.api_parsing import reason_for_refusal
from pipeline.scraping.fetch_errors import (
    FetchError,
    SiteError,
    Stopped,
    TransientError,
    UnreachableError,
    raise_for_challenge,
    rate_limit_wait,
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
_MAX_ERROR_BYTES = 65536
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_RATE_LIMIT_STATUSES = frozenset({429, 503})

T = TypeVar("T")


class Session:
    """HTTP session for GET requests to one site. Thread-safe.

    `get` takes `api_limiter` or `file_limiter`, which space the requests by `api_interval` and
    `file_interval` seconds; a longer Crawl-delay of robots.txt spaces both kinds together. The
    first retry comes after about `api_interval` seconds, and each further one after twice as long.
    Files may be on the site's own domain and on `file_hosts`. `log` gets messages for the user.
    Waits and requests raise `Stopped` once `stop` is set. Raises `UsageError` where `site` is no
    http(s) address.
    """

    def __init__(
        self,
        site: str,
        *,
        file_hosts: tuple[str, ...] = (),
        contact: str = "",
        api_interval: float = 1.0,
        file_interval: float = 0.1,
        retries: int = 5,
        timeout: float = 30.0,
        connections: int = 8,
        stop: threading.Event | None = None,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        parsed = parse_address(site)
        if parsed is None:
            raise UsageError(f"scrape.site: {site!r} is no address of a site")
        self._site, self._file_hosts = parsed, file_hosts
        self._stop = stop or threading.Event()
        self.api_limiter = RateLimiter(api_interval, self._stop)
        self.file_limiter = RateLimiter(file_interval, self._stop)
        self._crawl_limiter = RateLimiter(0.0, self._stop)
        self._timeout, self.log = timeout, log
        self._attempts = stop_after_attempt(retries + 1)
        pause = max(_MIN_BACKOFF, api_interval)
        self._backoff = wait_exponential(pause, MAX_BACKOFF) + wait_random(0, pause)
        self._robots: dict[str, Protego] = {}
        self._robots_lock = threading.Lock()
        self._http = CheckedSession()
        adapter = HTTPAdapter(pool_maxsize=connections)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)
        # As bytes: http.client could not encode every contact, since it takes a str for Latin-1.
        self._http.headers["User-Agent"] = user_agent(contact).encode()

    def close(self) -> None:
        """Close the idle connections."""
        self._http.close()

    def check_stop(self) -> None:
        """Raise `Stopped` once the run is to stop."""
        if self._stop.is_set():
            raise Stopped

    def owns(self, url: str) -> bool:
        """Return whether `url` is http(s) on the site's own domain or one of its file hosts."""
        return same_site(parse_address(url), self._site, self._file_hosts)

    def retry(self, call: Callable[[], T]) -> T:
        """Call `call` until it raises no `TransientError`, and return its result.

        Pauses between the calls, longer each time. Raises the last `TransientError` when the
        retries are used up, and any other error at once.
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
        is_robots_txt: bool = False,
    ) -> requests.Response:
        for _ in range(_MAX_REDIRECTS + 1):
            if not is_robots_txt:
                self._check_robots(url)
            limiter.wait()
            self._crawl_limiter.wait()
            response = self._http.get(
                url, headers=headers, timeout=self._timeout, stream=True, allow_redirects=False
            )
            target = self._http.redirect_address(response)
            if target is None:
                return response
            response.close()
            url = target
            # robots.txt may be on another host (RFC 9309, 2.3.1.2).
            if not (is_robots_txt or self.owns(url)):
                raise FetchError(response.url, "off_site", f"redirects off the site to {url}")
        raise FetchError(url, "redirects", f"more than {_MAX_REDIRECTS} redirects")

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            return
        start = self._read_start(response, _MAX_ERROR_BYTES)
        raise_for_challenge(response, start)
        reason = reason_for_refusal(start)
        problem = f"answered HTTP {status}" + (f": {reason}" if reason else "")
        if status in _RETRIED_STATUSES:
            raise TransientError(
                response.url,
                f"http_{status}",
                problem,
                wait=self._retry_after(response),
                pause_all=status in _RATE_LIMIT_STATUSES,
            )
        raise FetchError(response.url, f"http_{status}", problem)

    def _read_start(self, response: requests.Response, length: int) -> bytes:
        """Return the first `length` bytes of a body, or all of a shorter one."""
        start = bytearray()
        # A chunked response comes in the server's chunks, however many bytes are asked for.
        for chunk in response.iter_content(length):
            self.check_stop()
            start += chunk
            if len(start) >= length:
                break
        return bytes(start[:length])

    def _retry_after(self, response: requests.Response) -> float:
        headers = response.headers
        wait = max(
            retry_after(headers.get("Retry-After", "")),
            rate_limit_wait(headers.get("X-Rate-Limit", "")),
        )
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
            for limiter in (self.api_limiter, self.file_limiter, self._crawl_limiter):
                limiter.hold(seconds)
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
        `TransientError` where it cannot be fetched now: then nothing may be fetched. Raises
        `SiteError` for a Crawl-delay of more than `MAX_RETRY_AFTER` seconds.
        """
        try:
            with (
                translate_errors(url),
                self._follow(url, self.api_limiter, None, is_robots_txt=True) as response,
            ):
                self._check_status(response)
                body = self._read_start(response, _MAX_ROBOTS_BYTES)
        except TransientError:
            raise
        except FetchError as error:
            refused = error.reason in ("http_401", "http_403")
            body = b"User-agent: *\nDisallow: /" if refused else b""
        robots = Protego.parse(body.decode("utf-8-sig", "replace"))
        self._obey_crawl_delay(url, robots.crawl_delay(AGENT) or 0.0)
        return robots

    def _obey_crawl_delay(self, url: str, delay: float) -> None:
        if delay <= 0:
            return
        asked = f"asks for {delay:g} s between two requests"
        if delay > MAX_RETRY_AFTER:
            raise SiteError(
                url,
                f"{asked}, more than the {MAX_RETRY_AFTER:g} s that this program waits; use "
                "another site, or ask this one's owner",
            )
        self.log(f"{url} {asked}")
        self._crawl_limiter.slow_down_to(delay)


def user_agent(contact: str) -> str:
    """Return the User-Agent header: name, version and, where there is one, the contact."""
    return f"{AGENT}/{version(AGENT)}" + (f" (+{contact})" if contact else "")


def _last_error(state: RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TransientError)
    return error
