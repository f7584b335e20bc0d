"""A web page that enlarges the pictures dropped on it, for a browser on the same computer."""

import json
import logging
import select
import socket
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.resources import files
from threading import Event, Lock
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    Forbidden,
    HTTPException,
    LengthRequired,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    ServiceUnavailable,
    UnprocessableEntity,
)
from werkzeug.wrappers import Request, Response

from pipeline.errors import PipelineError
from pipeline.hosts import origin_of
from pipeline.images.decode import ImageRefused
from pipeline.images.suffixes import PICTURE_SUFFIXES
from pipeline.machine_errors import fault_text, is_machine_fault
from pipeline.progress import Silent
from pipeline.shipped import AUTO
from pipeline.upscaling.encoding import check_format, encode_picture
from pipeline.upscaling.formats import FORMATS
from pipeline.upscaling.model_choice import model_for
from pipeline.upscaling.pictures import decode_picture
from pipeline.upscaling.upscaler import Upscaler

MAX_BYTES = 64_000_000
MAX_PIXELS = 16_000_000
"""Limit for a picture, all frames together; a quarter of it at scale 8."""
MAX_WAITING_BYTES = 4 * MAX_BYTES
"""Limit for the files that wait to be enlarged, all together."""
POLL_SECONDS = 0.2
KEPT_UPSCALERS = 4
SCALES = ("2", "3", "4", "8")
OFFERED_FORMATS = ("png", "webp", "jpg")
# The page loads nothing from elsewhere, and shows only pictures from memory.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src blob: data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_FILES = {"/page.js": "text/javascript", "/page.css": "text/css"}

_log = logging.getLogger(__name__)


class UpscaleApp:
    """WSGI application: the page, and `POST /upscale?model=&scale=&format=` for pictures.

    The request's body is the picture's file, the response's the result. For `AUTO` the response's
    header `X-Model` names the model that was used. With `&progress=1` the response is lines of
    JSON, several a second: objects of `phase`, `done`, `total` and `unit`; at last one of `error`,
    or one of `bytes`, `type`, `width`, `height` and `model`, and then so many bytes, the result.

    `models`: labels on the page → models as of `model_for`. One picture is computed at a time; the
    others wait, in the order in which they came.
    """

    def __init__(self, models: Mapping[str, str], device: str = "auto") -> None:
        self._models = dict(models)
        self._upscaler = lru_cache(KEPT_UPSCALERS)(partial(_make_upscaler, device=device))
        self._computing = ThreadPoolExecutor(1, "upscale")
        self._waiting = _Waiting()
        self._closed = Event()
        self._page = _render_page(self._models)

    def close(self) -> None:
        """Abort the request that is being computed, and those that wait."""
        self._closed.set()
        self._computing.shutdown(wait=False, cancel_futures=True)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        request.max_content_length = MAX_BYTES
        try:
            response = self._route(request)
        except HTTPException as error:
            response = Response(f"{error.description}\n", error.code, mimetype="text/plain")
            if isinstance(error, MethodNotAllowed):
                response.allow.update(error.valid_methods or ())
        except _RequestAborted:
            response = Response(status=503)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        answer: WSGIApplication = response
        return answer(environ, start)

    def _route(self, request: Request) -> Response:
        if request.path == "/upscale":
            if request.method != "POST":
                raise MethodNotAllowed(("POST",))
            return self._upscale(request)
        if request.path != "/" and request.path not in _PAGE_FILES:
            raise NotFound
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        if request.path in _PAGE_FILES:
            return Response(_template(request.path), mimetype=_PAGE_FILES[request.path])
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return Response(self._page, mimetype="text/html", headers=headers)

    def _upscale(self, request: Request) -> Response:
        # Another site's page, open in the same browser, must not use this one.
        origin = request.headers.get("Origin")
        if origin not in (None, origin_of(request.environ)):
            raise Forbidden(
                "This page takes pictures from itself alone. Behind a proxy, start it with "
                "--behind-proxy NAME."
            )
        model = _choice(request, "model", self._models)
        scale = float(_choice(request, "scale", SCALES))
        format = _choice(request, "format", OFFERED_FORMATS)
        work = self._submit(request, self._models[model], scale, format)
        if request.args.get("progress") == "1":
            # Proxies must not collect the lines.
            headers = {"X-Accel-Buffering": "no"}
            return Response(_lines(work), mimetype="application/octet-stream", headers=headers)
        for _ in work.wait():
            pass
        result = work.result.result()
        named = {"X-Model": result.model} if result.model else {}
        return Response(result.data, mimetype=result.mime_type, headers=named)

    def _submit(self, request: Request, model: str, scale: float, format: str) -> "_Work":
        """Return the work that waits. Raises `HTTPException` and `_RequestAborted`."""
        work = _Work(request.environ.get("werkzeug.socket"), self._closed)
        with ExitStack() as unless_submitted:
            self._waiting.enter(work, _body_bytes(request))
            unless_submitted.callback(self._waiting.leave, work)
            work.data = _body(request)
            try:
                work.result = self._computing.submit(self._compute, model, scale, format, work)
            except RuntimeError:
                raise _RequestAborted from None
            unless_submitted.pop_all()
        # The executor keeps a cancelled work until its turn.
        work.result.add_done_callback(lambda _: self._waiting.leave(work))
        return work

    def _compute(self, model: str, scale: float, format: str, work: "_Work") -> "_Result":
        """Enlarge the bytes of a picture's file. Raises `HTTPException` and `_RequestAborted`."""
        try:
            work.enter("decode")
            picture = decode_picture(self._waiting.leave(work), _max_pixels(scale))
            name = model_for(model, picture)
            upscaler = self._upscaler(name, scale)
            height, width = picture.frames[0].shape[:2]
            size = upscaler.size_of(width, height)
            check_format(format, picture, *size)
            large = upscaler.upscale_picture(picture, work)
            work.enter("encode")
            result = encode_picture(large, format)
        except ImageRefused as refusal:
            raise UnprocessableEntity(f"No picture that can be read: {refusal.text}.") from None
        except PipelineError as error:
            raise UnprocessableEntity(f"{error}.") from None
        except Exception as error:
            if not is_machine_fault(error):
                raise
            raise ServiceUnavailable(f"The computer failed: {fault_text(error)}.") from None
        chosen = name if model == AUTO else None
        return _Result(result, FORMATS[format].mime_type, *size, chosen)


@dataclass(frozen=True)
class _Result:
    """A file of an enlarged picture; `model`: the one that `AUTO` took."""

    data: bytes
    mime_type: str
    width: int
    height: int
    model: str | None


class _RequestAborted(Exception):  # noqa: N818 - not an error
    """Nobody waits for the response any more."""


class _Work(Silent):
    """One picture's computation, as seen by its own thread and by that of the request.

    A `Progress` that ends the computation when the app closes or the browser has disconnected.
    """

    def __init__(self, connection: socket.socket | None, closed: Event) -> None:
        self.data = b""
        """the picture's file, until it is decoded or nobody waits for it"""
        self.result: Future[_Result] = Future()
        self.state: dict[str, object] = {"phase": "wait"}
        self._connection, self._closed = connection, closed
        self._aborted = Event()

    def enter(self, phase: str, **extent: object) -> None:
        """Begin a phase: "decode", "upscale" or "encode"."""
        self.state = {"phase": phase} | extent
        self._check()

    def start(self, label: str, total: int | None, unit: str) -> None:
        self.enter("upscale", done=0, total=total, unit=unit)

    def update(self, done: int, **figures: object) -> None:
        """Raise `_RequestAborted` once the response has no reader."""
        self.state = self.state | {"done": done}
        self._check()

    def wait(self) -> Generator[dict[str, object], None, None]:
        """Yield the state, several times a second, until there is a result or an error.

        Raises `_RequestAborted`. Closing the iterator aborts the computation.
        """
        try:
            while True:
                try:
                    self.result.exception(timeout=POLL_SECONDS)
                    return
                except TimeoutError:
                    yield self.state
                except CancelledError:
                    raise _RequestAborted from None
                if self._disconnected():
                    raise _RequestAborted
        finally:
            self._aborted.set()
            self.result.cancel()

    def _check(self) -> None:
        if self._closed.is_set() or self._aborted.is_set():
            raise _RequestAborted

    def _disconnected(self) -> bool:
        if self._connection is None:
            return False
        try:
            # Until the response a browser sends nothing: readable and empty means closed.
            readable, _, _ = select.select([self._connection], [], [], 0)
            return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True


class _Waiting:
    """Works that wait, with the files that they hold."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._bytes: dict[_Work, int] = {}

    def enter(self, work: _Work, size: int) -> None:
        """Keep room for a file of `size` bytes. Raises `ServiceUnavailable`."""
        with self._lock:
            if sum(self._bytes.values()) + size > MAX_WAITING_BYTES:
                raise ServiceUnavailable("Too many pictures wait here; send this one later.")
            self._bytes[work] = size

    def leave(self, work: _Work) -> bytes:
        """Return the file of a work, which no longer holds it; no bytes if it has left before."""
        with self._lock:
            self._bytes.pop(work, None)
            data, work.data = work.data, b""
            return data


def _lines(work: _Work) -> Iterator[bytes]:
    """Yield progress as lines of JSON, then the result. Where it is aborted, it ends early."""
    try:
        with closing(work.wait()) as states:
            yield from map(_line, states)
        result = work.result.result()
    except HTTPException as error:
        yield _line({"error": error.description})
    except _RequestAborted:
        return
    except Exception:
        # The status has been sent: the message can only be a line.
        _log.exception("a picture failed")
        yield _line({"error": "The program failed; its terminal shows why."})
    else:
        size = {"width": result.width, "height": result.height}
        shown = {"bytes": len(result.data), "type": result.mime_type, "model": result.model}
        yield _line(shown | size)
        yield result.data


def _line(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def _render_page(models: Iterable[str]) -> str:
    templates = Environment(
        loader=PackageLoader("pipeline.upscaling"), autoescape=True, undefined=StrictUndefined
    )
    return templates.get_template("page.html.j2").render(
        models=models,
        max_pixels={scale: _max_pixels(float(scale)) for scale in SCALES},
        formats=OFFERED_FORMATS,
        suffixes=sorted(PICTURE_SUFFIXES),
        max_bytes=MAX_BYTES,
        megabytes=MAX_BYTES // 10**6,
        megapixels=_max_pixels(4) // 10**6,
        megapixels_at_8=_max_pixels(8) // 10**6,
    )


def _template(name: str) -> bytes:
    return files("pipeline.upscaling").joinpath("templates", name.strip("/")).read_bytes()


def _max_pixels(scale: float) -> int:
    """Return the largest number of pixels, all frames together, that are enlarged by `scale`."""
    return int(MAX_PIXELS / max(scale / 4, 1) ** 2)


def _make_upscaler(model: str, scale: float, device: str) -> Upscaler:
    return Upscaler(model, scale=scale, device=device)


def _choice(request: Request, name: str, choices: Iterable[str]) -> str:
    """Return a query parameter that must be one of `choices`."""
    value = request.args.get(name, "")
    if value not in choices:
        raise BadRequest(f"{name}: {value!r} is none of {', '.join(choices)}.")
    return value


def _body_bytes(request: Request) -> int:
    """Return how many bytes of the body will be read at most."""
    if request.content_length is None or "Transfer-Encoding" in request.headers:
        raise LengthRequired("A picture's length must come before it, as Content-Length.")
    return min(request.content_length, MAX_BYTES)


def _body(request: Request) -> bytes:
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        limit = MAX_BYTES // 10**6
        raise RequestEntityTooLarge(f"The file has more than {limit} MB.") from None
    except ClientDisconnected:
        raise BadRequest("The upload ended before the picture's last byte.") from None
