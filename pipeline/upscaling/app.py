"""A web page that enlarges the picture dropped on it, for a browser on the same computer."""

import select
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from pipeline.upscaling.model_choice import chosen
from pipeline.upscaling.pictures import decode_picture
from pipeline.upscaling.upscaler import Upscaler

MAX_BYTES = 64_000_000
MAX_PIXELS = 16_000_000
"""Of a picture, all frames together; a quarter of it where it becomes eight times as large."""
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
WAIT_SECONDS = 0.2
SCALES = ("2", "3", "4", "8")
MIME_TYPES = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg"}
# The page asks for nothing but what it came with, and shows nothing but what it was given.
POLICY = (
    "default-src 'none'; img-src blob: data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class UpscaleSite:
    """The page, and `POST /upscale?model=&scale=&format=` with a picture's bytes as the body.
    The answer to one with `AUTO` names the model that suited it, as `X-Model`.

    `models`: what they are called on the page → what `chosen` takes. One picture is computed at
    a time; the others wait. `hosts`: names under which the page may be asked for; None: any.
    """

    def __init__(
        self,
        models: Mapping[str, str],
        device: str = "auto",
        hosts: Sequence[str] | None = LOOPBACK,
    ) -> None:
        self._models = dict(models)
        self._device = device
        self._hosts = None if hosts is None else list(hosts)
        self._turn = threading.Lock()
        self._closed = threading.Event()
        templates = Environment(
            loader=PackageLoader("pipeline.upscaling"), autoescape=True, undefined=StrictUndefined
        )
        self._page = templates.get_template("page.html.j2").render(
            models=self._models, scales=SCALES, formats=MIME_TYPES, megabytes=MAX_BYTES // 10**6
        )

    def close(self) -> None:
        """End what is being computed, and what waits."""
        self._closed.set()

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = MAX_BYTES
        request.trusted_hosts = self._hosts
        try:
            # A name that someone else's server answers to, pointed here, is refused.
            _ = request.host
            answer: WSGIApplication = self._answer(request)
        except HTTPException as error:
            answer = Response(f"{error.description}\n", error.code, mimetype="text/plain")
        except _Abandoned:
            answer = Response(status=503)
        return answer(environ, start)

    def _answer(self, request: Request) -> Response:
        if request.path == "/upscale":
            if request.method != "POST":
                raise MethodNotAllowed(("POST",))
            return self._upscaled(request)
        if request.path != "/":
            raise NotFound
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        headers = {"Content-Security-Policy": POLICY}
        return Response(self._page, mimetype="text/html", headers=headers)

    def _upscaled(self, request: Request) -> Response:
        # A page from elsewhere, open in the same browser, has no say here.
        origin = request.headers.get("Origin")
        if origin not in (None, request.host_url.rstrip("/")):
            raise Forbidden("This page takes pictures from itself alone.")
        model = _choice(request, "model", self._models)
        scale = float(_choice(request, "scale", SCALES))
        format = _choice(request, "format", MIME_TYPES)
        data = _body(request)
        watch = _Watch(self._closed, request.environ.get("werkzeug.socket"))
        try:
            with self._my_turn(watch):
                picture = decode_picture(data, int(MAX_PIXELS / max(scale / 4, 1) ** 2))
                name = chosen(self._models[model], picture)
                upscaler = Upscaler(name, scale=scale, device=self._device)
                height, width = picture.frames[0].shape[:2]
                check_format(format, picture, *upscaler.size_of(width, height))
                result = encode_picture(upscaler.picture(picture, watch), format)
        except ImageRefused as refusal:
            raise UnprocessableEntity(f"No picture that can be read: {refusal.text}.") from None
        except PipelineError as error:
            raise UnprocessableEntity(f"{error}.") from None
        headers = {"X-Model": name} if self._models[model] == AUTO else {}
        return Response(result, mimetype=MIME_TYPES[format], headers=headers)

    @contextmanager
    def _my_turn(self, watch: "_Watch") -> Iterator[None]:
        while not self._turn.acquire(timeout=WAIT_SECONDS):
            watch.update(0)
        try:
            yield
        finally:
            self._turn.release()


class _Abandoned(Exception):  # noqa: N818 - no fault of anyone's
    """Nobody waits for the result any more."""


class _Watch(Silent):
    """A `Progress` that ends the work when the site closes or the browser has gone."""

    def __init__(self, closed: threading.Event, connection: socket.socket | None) -> None:
        self._closed, self._connection = closed, connection

    def update(self, done: int, **figures: object) -> None:
        if self._closed.is_set() or self._gone():
            raise _Abandoned

    def _gone(self) -> bool:
        if self._connection is None:
            return False
        try:
            # An open connection has nothing to say until it is answered.
            readable, _, _ = select.select([self._connection], [], [], 0)
            return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True


def _choice(request: Request, name: str, choices: Iterable[str]) -> str:
    given = request.args.get(name, "")
    if given not in choices:
        raise BadRequest(f"{name}: {given!r} is none of {', '.join(choices)}.")
    return given


def _body(request: Request) -> bytes:
    if request.content_length is None:
        raise BadRequest("A picture's length must come before it.")
    try:
        return request.get_data()
    except RequestEntityTooLarge:
        limit = MAX_BYTES // 10**6
        raise RequestEntityTooLarge(f"The file has more than {limit} MB.") from None
