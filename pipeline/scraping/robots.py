"""What a site allows this program: its robots.txt files (RFC 9309), and X-Robots-Tag headers."""

import re
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from protego import Protego

from pipeline.scraping.fetch_errors import FetchError

AGENT = "anime-sr-pipeline"
MAX_ROBOTS_BYTES = 500 * 1024

_DIRECTIVE = re.compile(r"([^\s:]+)\s*:\s*(.*)", re.DOTALL)
_DIRECTIVES_WITH_VALUES = frozenset(
    {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
)


@dataclass
class _Host:
    """The rules of one host, and the lock under which they are fetched once.

    `error` is that of the last of the `failures` to fetch them.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    rules: Protego | None = None
    failures: int = 0
    error: FetchError | None = None


class RobotsTxt:
    """The robots.txt files of all hosts that are asked for something. Thread-safe.

    `fetch` returns the body of the file at an address, empty where there is none, and raises where
    nothing may be fetched now. `slow_down` gets the address and the seconds of each Crawl-delay.
    """

    def __init__(
        self, fetch: Callable[[str], bytes], slow_down: Callable[[str, float], None]
    ) -> None:
        self._fetch, self._slow_down = fetch, slow_down
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    def check(self, url: str) -> None:
        """Raise `FetchError` if `url` may not be fetched, and whatever `fetch` raises."""
        if not self.allows(url):
            problem = f"{_address(url)} does not allow {AGENT} to fetch this"
            raise FetchError(url, "robots_txt", problem)

    def allows(self, url: str) -> bool:
        """Return whether `url` may be fetched. Raises whatever `fetch` raises."""
        address = _address(url)
        with self._lock:
            host = self._hosts.setdefault(address, _Host())
        return bool(self._rules(host, address).can_fetch(url, AGENT))

    def _rules(self, host: _Host, address: str) -> Protego:
        failures = host.failures
        # One host that does not answer must not hold up the requests to others.
        with host.lock:
            if host.rules is not None:
                return host.rules
            if host.error is not None and host.failures > failures:
                # Threads that waited for the same attempt do not repeat it one after the other.
                raise host.error
            try:
                rules = parse_robots_txt(self._fetch(address))
            except FetchError as error:
                host.error, host.failures = error, host.failures + 1
                raise
            self._slow_down(address, rules.crawl_delay(AGENT) or 0.0)
            host.rules = rules
            return rules


def _address(url: str) -> str:
    """Return the address of the robots.txt that counts for `url`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/robots.txt"


def parse_robots_txt(body: bytes) -> Protego:
    """Parse the first `MAX_ROBOTS_BYTES` of a robots.txt, in UTF-8 or with a byte order mark."""
    if len(body) > MAX_ROBOTS_BYTES:
        body = body[:MAX_ROBOTS_BYTES]
        # Half a path would be another rule.
        body = body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]
    encoding = None
    if not body[:4].isascii():
        from bs4.dammit import EncodingDetector

        body, encoding = EncodingDetector.strip_byte_order_mark(body)
    return Protego.parse(body.decode(encoding or "utf-8", "replace"))


def find_directive(headers: Iterable[str], directives: Collection[str]) -> str | None:
    """Return the first of `directives`, in lower case, that a file's X-Robots-Tag `headers` have.

    `none` is short for noindex and nofollow. Directives after the name of another program are
    ignored.
    """
    for header in headers:
        applies = True
        for part in re.split("[,;]", header.lower()):
            text = part.strip()
            named = _DIRECTIVE.fullmatch(text)
            if named and named[1] not in _DIRECTIVES_WITH_VALUES:
                applies = named[1].partition("/")[0] in ("*", AGENT)
                text = named[2].strip()
            words = ("noindex", "nofollow") if text == "none" else (text,)
            for word in words:
                if applies and word in directives:
                    return word
    return None
