"""Inject faults of sites and networks into responses, to test scrapers."""

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from socket import SHUT_RDWR, socket
from urllib.parse import unquote_plus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wrappers import Response

from pipeline.booru.html_render import error_xml

STALL_SECONDS = 600.0
RETRY_AFTER_SECONDS = 2
REPEATED_POSTS = 20

Fault = Callable[[WSGIApplication, WSGIEnvironment], WSGIApplication]
"""Returns the application that answers a request instead of the site."""

_CHALLENGE = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
_RATE_LIMIT = '{"cost": 1, "rate": 10, "limits": {"ip/127.0.0.1": -19.0}}'
_PAGE = "<!DOCTYPE html><html><head><title>Booru</title></head><body>Not here</body></html>"


class FaultInjector:
    """WSGI middleware that answers every `every`-th request with a fault, named as in `FAULTS`.

    Requests for files get the faults of `on_files` in turn, requests for listings and pages those
    of `on_lists`. robots.txt is always answered by the site.
    """

    def __init__(
        self,
        site: WSGIApplication,
        on_files: Iterable[str] = (),
        on_lists: Iterable[str] = (),
        every: int = 10,
    ) -> None:
        self._site, self._every = site, every
        self._on_files = [FAULTS[name] for name in on_files]
        self._on_lists = [FAULTS[name] for name in on_lists]
        self._file_numbers, self._list_numbers = itertools.count(1), itertools.count(1)
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        fault = self._next_fault(environ["PATH_INFO"])
        answer = fault(self._site, environ) if fault else self._site
        return answer(environ, start)

    def _next_fault(self, path: str) -> Fault | None:
        if path == "/robots.txt":
            return None
        is_list = path in ("/", "/index.php") or path.startswith("/posts")
        faults = self._on_lists if is_list else self._on_files
        with self._lock:
            number = next(self._list_numbers if is_list else self._file_numbers)
        if not faults or number % self._every:
            return None
        return faults[(number // self._every - 1) % len(faults)]


def _respond(body: str = "", status: int = 200, kind: str = "text/html", **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda site, environ: Response(body, status, named, mimetype=kind)


def _retry_at_date(site: WSGIApplication, environ: WSGIEnvironment) -> WSGIApplication:
    """Answer HTTP 503 with a date as Retry-After."""
    moment = datetime.now(UTC) + timedelta(seconds=RETRY_AFTER_SECONDS)
    return Response("", 503, {"Retry-After": format_datetime(moment, usegmt=True)})


def _shift_listing(site: WSGIApplication, environ: WSGIEnvironment) -> WSGIApplication:
    """List some posts of the previous page again, as when new posts shift the listing."""
    query = unquote_plus(environ["QUERY_STRING"])
    environ["QUERY_STRING"] = re.sub(
        r"(id:<|page=b)(\d+)",
        lambda cursor: f"{cursor[1]}{int(cursor[2]) + REPEATED_POSTS}",
        query,
    )
    return site


def _redirect_to_itself(site: WSGIApplication, environ: WSGIEnvironment) -> WSGIApplication:
    """Redirect to the same address."""
    query = environ["QUERY_STRING"]
    location = environ["PATH_INFO"] + (f"?{query}" if query else "")
    return Response("", 302, {"Location": location})


def _drop_connection(site: WSGIApplication, environ: WSGIEnvironment) -> WSGIApplication:
    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        _hang_up(environ)
        start("200 OK", [])
        return []

    return answer


def _break_off(*, share: float, extra: int = 0, silence: float = 0.0) -> Fault:
    """Send `share` of the site's body, announced `extra` bytes longer than it is; then hang up.

    Wait for `silence` seconds before that, or until the client closes the connection.
    """

    def fault(site: WSGIApplication, environ: WSGIEnvironment) -> WSGIApplication:
        response = Response.from_app(site, environ, buffered=True)
        body = response.get_data()
        headers = dict(response.headers) | {"Content-Length": str(len(body) + extra)}

        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterator[bytes]:
            start(response.status, list(headers.items()))
            yield body[: round(len(body) * share)]
            _wait_for_close(environ["werkzeug.socket"], silence)
            _hang_up(environ)

        return answer

    return fault


def _hang_up(environ: WSGIEnvironment) -> None:
    connection: socket = environ["werkzeug.socket"]
    connection.shutdown(SHUT_RDWR)


def _wait_for_close(connection: socket, seconds: float) -> None:
    """Return when either side has closed the connection, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while (remaining := deadline - time.monotonic()) > 0:
        connection.settimeout(remaining)
        try:
            if not connection.recv(4096):
                return
        except OSError:
            return


FAULTS: Mapping[str, Fault] = {
    "drop": _drop_connection,
    "stall": _break_off(share=0.5, silence=STALL_SECONDS),
    "truncate": _break_off(share=0.5),
    "wrong-length": _break_off(share=1.0, extra=100),
    "wrong-type": _respond(_PAGE),
    "empty": _respond(),
    "404": _respond(status=404),
    "429": _respond(status=429),
    "429-rate-limit": _respond(status=429, X_Rate_Limit=_RATE_LIMIT),
    "429-retry-after": _respond(status=429, Retry_After=str(RETRY_AFTER_SECONDS)),
    "500": _respond(status=500),
    "503": _respond(status=503),
    "503-retry-after": _retry_at_date,
    "redirect-loop": _redirect_to_itself,
    "off-site": _respond(status=302, Location="http://off-site.invalid/picture.png"),
    "challenge": _respond(_CHALLENGE, 403),
    "search-down": _respond(error_xml("search down"), kind="text/xml"),
    "depth-limit": _respond(error_xml("Search error: API limited due to abuse."), kind="text/xml"),
    "repeat": _shift_listing,
    "vanish": _respond(status=302, Location="/index.php?page=post&s=list&tags=all"),
}
"""Faults by name."""
