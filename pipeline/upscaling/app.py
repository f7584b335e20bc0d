"""A web page that enlarges the picture dropped on it, for a browser on the same computer."""

import select
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    UnprocessableEntity,
)
from werkzeug.wrappers import Request, Response

from pipeline.errors import PipelineError
from pipeline.images.decode import ImageRefused
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
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
POLL_SECONDS = 0.2
KEPT_UPSCALERS = 4
SCALES = ("2", "3", "4", "8")
OFFERED_FORMATS = ("png", "webp", "jpg")
# The page loads nothing from elsewhere, and shows only pictures from memory.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src blob: data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class UpscaleApp:
    """WSGI application: the page, and `POST /upscale?model=&scale=&format=` for pictures.

    The request's body is the picture's file, the response's the result. For `AUTO` the response's
    header `X-Model` names the model that was used. `models`: labels on the page → models as of
    `model_for`. One picture is computed at a time; the others wait. `hosts`: accepted Host headers;
    None: any.
    """

    def __init__(
        self,
        models: Mapping[str, str],
        device: str = "auto",
        hosts: Sequence[str] | None = LOOPBACK,
    ) -> None:
        self._models = dict(models)
        self._hosts = None if hosts is None else list(hosts)
        self._upscaler = lru_cache(KEPT_UPSCALERS)(partial(_make_upscaler, device=device))
        self._computing = threading.Lock()
        self._closed = threading.Event()
        templates = Environment(
            loader=PackageLoader("pipeline.upscaling"), autoescape=True, undefined=StrictUndefined
        )
        self._page = templates.get_template("page.html.j2").render(
            models=self._models,
            scales=SCALES,
            formats=OFFERED_FORMATS,
            megabytes=MAX_BYTES // 10**6,
            megapixels=_max_pixels(4) // 10**6,
            megapixels_at_8=_max_pixels(8) // 10**6,
        )

    def close(self) -> None:
        """Abort the request that is being computed, and those that wait."""
        self._closed.set()

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        request.max_content_length = MAX_BYTES
        request.trusted_hosts = self._hosts
        try:
            # Checks the Host header against `trusted_hosts`, against DNS rebinding.
            _ = request.host
            response: WSGIApplication = self._route(request)
        except HTTPException as error:
            response = Response(f"{error.description}\n", error.code, mimetype="text/plain")
        except _RequestAborted:
            response = Response(status=503)
        return response(environ, start)

    def _route(self, request: Request) -> Response:
        if request.path == "/upscale":
            if request.method != "POST":
                raise MethodNotAllowed(("POST",))
            return self._upscale(request)
        if request.path != "/":
            raise NotFound
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return Response(self._page, mimetype="text/html", headers=headers)

    def _upscale(self, request: Request) -> Response:
        # Another site's page, open in the same browser, must not use this one.
        origin = request.headers.get("Origin")
        if origin not in (None, request.host_url.rstrip("/")):
            raise Forbidden("This page takes pictures from itself alone.")
        model = _choice(request, "model", self._models)
        scale = float(_choice(request, "scale", SCALES))
        format = _choice(request, "format", OFFERED_FORMATS)
        data = _body(request)
        listener = _AbortListener(self._closed, request.environ.get("werkzeug.socket"))
        try:
            with self._exclusive(listener):
                picture = decode_picture(data, _max_pixels(scale))
                name = model_for(self._models[model], picture)
                upscaler = self._upscaler(name, scale)
                height, width = picture.frames[0].shape[:2]
                check_format(format, picture, *upscaler.size_of(width, height))
                result = encode_picture(upscaler.upscale_picture(picture, listener), format)
        except ImageRefused as refusal:
            raise UnprocessableEntity(f"No picture that can be read: {refusal.text}.") from None
        except PipelineError as error:
            raise UnprocessableEntity(f"{error}.") from None
        headers = {"X-Model": name} if self._models[model] == AUTO else {}
        return Response(result, mimetype=FORMATS[format].mime_type, headers=headers)

    @contextmanager
    def _exclusive(self, listener: "_AbortListener") -> Iterator[None]:
        """Wait until no other request is being computed, and keep others waiting."""
        while not self._computing.acquire(timeout=POLL_SECONDS):
            listener.update(0)
        try:
            yield
        finally:
            self._computing.release()


def _max_pixels(scale: float) -> int:
    """Return the largest number of pixels, all frames together, that are enlarged by `scale`."""
    return int(MAX_PIXELS / max(scale / 4, 1) ** 2)


def _make_upscaler(model: str, scale: float, device: str) -> Upscaler:
    return Upscaler(model, scale=scale, device=device)


class _RequestAborted(Exception):  # noqa: N818 - not an error
    """Nobody waits for the response any more."""


class _AbortListener(Silent):
    """A `Progress` that aborts a request when the app closes or the browser has disconnected."""

    def __init__(self, closed: threading.Event, connection: socket.socket | None) -> None:
        self._closed, self._connection = closed, connection

    def update(self, done: int, **figures: object) -> None:
        """Raise `_RequestAborted` once the response has no reader."""
        if self._closed.is_set() or self._disconnected():
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


def _choice(request: Request, name: str, choices: Iterable[str]) -> str:
    """Return a query parameter that must be one of `choices`."""
    value = request.args.get(name, "")
    if value not in choices:
        raise BadRequest(f"{name}: {value!r} is none of {', '.join(choices)}.")
    return value


def _body(request: Request) -> bytes:
    if request.content_length is None:
        raise BadRequest("A picture's length must come before it.")
    try:
        return request.get_data()
    except RequestEntityTooLarge:
        limit = MAX_BYTES // 10**6
        raise RequestEntityTooLarge(f"The file has more than {limit} MB.") from None
