"""A polite HTTP session with one site: robots.txt, rate limits, retries, an honest User-Agent."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TypeVar

import requests
from urllib3.response import HTTPResponse

from pipeline.errors import UsageError
from pipeline.scraping.addresses import (
    CheckedSession,
    leads_to_login,
    origin,
    parse_address,
    prepared_address,
    redirect_address,
    same_site,
)
from pipeline.scraping.answer_text import as_utf8
from pipeline.scraping.api_parsing import is_text, reason_for_refusal
from pipeline.scraping.challenges import START_BYTES, is_web_page, raise_for_challenge
from pipeline.scraping.connection_errors import (
    certificates_error,
    proxy_error,
    raise_for_proxy,
    translate_errors,
)
from pipeline.scraping.fetch_errors import (
    FetchError,
    SiteError,
    Stopped,
    TransientError,
    UnreachableError,
    raise_for_missing_key,
    rate_limit_wait,
    retry_after,
)
from pipeline.scraping.least_rate import LeastRateAdapter, chunks
from pipeline.scraping.rate_limiter import RateLimiter
from pipeline.scraping.retries import Retries
from pipeline.scraping.robots import AGENT, MAX_ROBOTS_BYTES, RobotsTxt
from pipeline.scraping.secrets import Secrets

MAX_RETRY_AFTER = 900.0
# Threads cannot wait for centuries, which some headers ask for.
_MAX_HOLD = 86400.0

_MAX_REDIRECTS = 5
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_RATE_LIMIT_STATUSES = frozenset({429, 503})
# What some sites answer to a wrong key, without a word of it.
_KEY_STATUSES = frozenset({400, 401, 403, 500})
_REFUSAL_STATUSES = frozenset({401, 403})
# Servers send other words, too, such as none and utf-8, that mean no compression.
_COMPRESSIONS = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})

T = TypeVar("T")


class Session:
    """HTTP session for GET requests to one site. Thread-safe.

    `get` takes `api_limiter` or `file_limiter`, which space the requests by `api_interval` and
    `file_interval` seconds; a longer Crawl-delay of robots.txt spaces both kinds together. The
    first retry comes after about `api_interval` seconds, and each further one after twice as long.
    Files may be on the site's own domain and on `file_hosts`. `log` gets messages for the user.
    `secrets` are masked in them, and in the errors of `get` and `retry`. Waits and requests raise
    `Stopped` once `stop` is set. Raises `UsageError` where `site` is no http(s) address.
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
        secrets: Secrets | None = None,
    ) -> None:
        parsed = parse_address(site)
        if parsed is None:
            raise UsageError(f"scrape.site: {site!r} is no address of a site")
        self._site, self._file_hosts = parsed, file_hosts
        self._stop = stop or threading.Event()
        self.api_limiter = RateLimiter(api_interval, self._stop)
        self.file_limiter = RateLimiter(file_interval, self._stop)
        self._crawl_limiter = RateLimiter(0.0, self._stop)
        self._timeout, self._log, self._secrets = timeout, log, secrets or Secrets()
        self._retries = Retries(retries, api_interval, self._stop, self._hold, self.log)
        self._robots = RobotsTxt(self._fetch_robots_txt, self._obey_crawl_delay)
        self._origin = f"{parsed.scheme}://{parsed.netloc}"
        self._gone: set[str] = set()
        self._http = CheckedSession()
        adapter = LeastRateAdapter(pool_maxsize=connections)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)
        # As bytes: http.client could not encode every contact, since it takes a str for Latin-1.
        self._http.headers["User-Agent"] = user_agent(contact).encode()

    def close(self) -> None:
        """Close the idle connections."""
        self._http.close()

    def log(self, text: str) -> None:
        """Give the user a message, without the secrets."""
        self._log(self._secrets.mask(text))

    def check_stop(self) -> None:
        """Raise `Stopped` once the run is to stop."""
        if self._stop.is_set():
            raise Stopped

    def owns(self, url: str) -> bool:
        """Return whether `url` is http(s) on the site's own domain or one of its file hosts."""
        return same_site(parse_address(url), self._site, self._file_hosts)

    def allows(self, url: str, params: Mapping[str, str | int] | None = None) -> bool:
        """Return whether the robots.txt of its host allows `url`. Raises as `get` does."""
        return self._robots.allows(prepared_address(url, params))

    def retry(self, call: Callable[[], T]) -> T:
        """Call `call` until it raises no `TransientError`, and return its result.

        Pauses between the calls, longer each time. Raises the last `TransientError` when the
        retries are used up, and any other error at once. Of addresses on another host than the
        site's, `UnreachableError` becomes a plain `FetchError` while the site itself can be
        reached.
        """
        with self._secrets.masked_in_errors():
            try:
                return self._retries.call(call, self._is_hopeless)
            except UnreachableError as error:
                if not self._is_gone(origin(error.address)):
                    raise
                raise FetchError(error.address, error.reason, error.problem) from None

    def _is_hopeless(self, error: TransientError) -> bool:
        return isinstance(error, UnreachableError) and (
            error.lasting or origin(error.address) in self._gone
        )

    def _is_gone(self, host: str) -> bool:
        """Return whether it is `host` alone that cannot be reached, and not the site as well.

        Such a host is asked only once each time, until it answers.
        """
        if host == self._origin:
            return False
        if host not in self._gone and self._site_answers():
            self._gone.add(host)
        return host in self._gone

    def _site_answers(self) -> bool:
        try:
            with self._follow(
                f"{self._origin}/robots.txt", self.api_limiter, None, is_robots_txt=True
            ):
                return True
        except UnreachableError:
            return False
        except FetchError:
            return True

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

        Its body is to be read by `chunks`. Redirects within the site are followed. Raises
        `TransientError`, `FetchError` or `SiteError`, also for reads inside the `with` block.
        """
        with self._secrets.masked_in_errors():
            try:
                address = prepared_address(url, params)
            except ValueError as error:
                raise FetchError(url, "address", f"cannot be requested: {error}") from None
            with (
                self._follow(address, limiter, headers) as response,
                translate_errors(response.url),
            ):
                self._check_status(response, is_api=limiter is self.api_limiter)
                yield response

    def chunks(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body of a response as it comes. Raises `Stopped`, and errors of urllib3."""
        for chunk in chunks(response):
            self.check_stop()
            yield chunk

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
                self._robots.check(url)
            limiter.wait()
            self._crawl_limiter.wait()
            response = self._request(url, headers)
            target = redirect_address(response)
            if target is None:
                return response
            response.close()
            # robots.txt may be on another host (RFC 9309, 2.3.1.2).
            if not is_robots_txt:
                self._check_redirect(url, target)
            url = target
        raise FetchError(url, "redirects", f"more than {_MAX_REDIRECTS} redirects")

    def _check_redirect(self, url: str, target: str) -> None:
        if leads_to_login(url, target):
            problem = f"redirects to a page to log in, {target}"
            raise FetchError(url, "login", problem, is_refusal=True)
        if not self.owns(target):
            raise FetchError(url, "off_site", f"redirects off the site to {target}")

    def _request(self, url: str, headers: Mapping[str, str] | None) -> requests.Response:
        with translate_errors(url):
            try:
                response = self._http.get(
                    url, headers=headers, timeout=self._timeout, stream=True, allow_redirects=False
                )
            except requests.RequestException:
                raise
            except OSError as error:
                fault = SiteError(url, f"cannot be requested: {error}")
                raise certificates_error(url) or fault from None
            except (TypeError, UnicodeError) as error:
                problem = "has no host, or a name or password with letters outside of Latin-1"
                raise proxy_error(url, problem) or error from None
        self._gone.discard(origin(url))
        return response

    def _check_status(
        self, response: requests.Response, *, is_api: bool = False, is_robots_txt: bool = False
    ) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            _raise_for_encoding(response)
            return
        raise_for_proxy(response.url, status)
        header = response.headers.get("Content-Type", "")
        start = as_utf8(self._read_start(response, START_BYTES), header)
        raise_for_challenge(response, start)
        if is_api and status in (401, 403):
            self.raise_for_missing_key(response, start)
        reason = reason_for_refusal(start)
        problem = f"answered HTTP {status}" + (f": {reason}" if reason else "")
        if status in _KEY_STATUSES and self._secrets.are_in(response.url):
            problem += f"; if that is for the key: {self._secrets.advice}"
        # Another form of listing needs the same robots.txt, so this reason is one of its own.
        is_missing = is_robots_txt and status >= 500
        if status in _RETRIED_STATUSES or is_missing:
            raise TransientError(
                response.url,
                "no_robots_txt" if is_missing else f"http_{status}",
                problem,
                wait=self._retry_after(response, is_file=not (is_api or is_robots_txt)),
                pause_all=status in _RATE_LIMIT_STATUSES,
            )
        is_words = not start or is_text(start) or is_web_page(start)
        is_refusal = status in _REFUSAL_STATUSES and is_words
        raise FetchError(response.url, f"http_{status}", problem, is_refusal=is_refusal)

    def raise_for_missing_key(self, response: requests.Response, body: bytes) -> None:
        """Raise `KeyRequiredError` if the body of an API's answer says that it wants a key."""
        raise_for_missing_key(response.url, response.status_code, body, self._secrets.advice)

    def _read_start(self, response: requests.Response, length: int) -> bytes:
        """Return the first `length` bytes of a body, or all of a shorter one."""
        start = bytearray()
        for chunk in self.chunks(response):
            start += chunk
            if len(start) >= length:
                break
        return bytes(start[:length])

    def _retry_after(self, response: requests.Response, *, is_file: bool) -> float:
        """Return the seconds that a response asks to wait; all requests do, where it limits them.

        Raises `SiteError` for more than `MAX_RETRY_AFTER`, `FetchError` where that is the server's
        trouble with one file.
        """
        headers, is_limit = response.headers, response.status_code in _RATE_LIMIT_STATUSES
        # The server and what stands before it may send one each.
        values, date = response.raw.headers.getlist("Retry-After"), headers.get("Date", "")
        waits = [retry_after(value, date) for value in values]
        wait = max(*waits, rate_limit_wait(headers.get("X-Rate-Limit", "")), 0.0)
        if is_limit:
            self._hold(min(wait, _MAX_HOLD))
        if wait > MAX_RETRY_AFTER:
            problem = (
                f"answered HTTP {response.status_code} and asks to wait {wait:.0f} s; "
                "run the same command again then"
            )
            if is_file and not is_limit:
                raise FetchError(response.url, f"http_{response.status_code}", problem)
            raise SiteError(response.url, problem)
        return wait

    def _hold(self, seconds: float) -> None:
        for limiter in (self.api_limiter, self.file_limiter, self._crawl_limiter):
            limiter.hold(seconds)

    def _fetch_robots_txt(self, url: str) -> bytes:
        """Return the start of a robots.txt, empty where there is none (RFC 9309, 2.3.1).

        Raises `TransientError` where it cannot be fetched now: then nothing may be fetched.
        """
        try:
            with (
                self._follow(url, self.api_limiter, None, is_robots_txt=True) as response,
                translate_errors(response.url),
            ):
                self._check_status(response, is_robots_txt=True)
                return self._read_start(response, MAX_ROBOTS_BYTES + 1)
        except TransientError:
            raise
        except FetchError:
            return b""

    def _obey_crawl_delay(self, url: str, delay: float) -> None:
        """Raise `SiteError` for a delay of more than `MAX_RETRY_AFTER` seconds."""
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


def _raise_for_encoding(response: requests.Response) -> None:
    """Raise `TransientError` for a body that is compressed as the HTTP library cannot read it."""
    value = response.headers.get("Content-Encoding", "")
    encodings = {name.strip().lower() for name in value.split(",")}
    if unread := (encodings & _COMPRESSIONS).difference(HTTPResponse.CONTENT_DECODERS):
        problem = f"is compressed as {min(unread)}, which was not asked for"
        raise TransientError(response.url, "answer", problem)


def user_agent(contact: str) -> str:
    """Return the User-Agent header: name, version and, where there is one, the contact."""
    return f"{AGENT}/{version(AGENT)}" + (f" (+{contact})" if contact else "")
