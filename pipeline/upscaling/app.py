"""A web page that enlarges the pictures dropped on it, for a browser on the same computer."""

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import lru_cache, partial
from importlib.resources import files
from threading import Event
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
from pipeline.images.recognition import HEAD_BYTES
from pipeline.images.suffixes import PICTURE_SUFFIXES
from pipeline.machine_errors import fault_text, is_machine_fault
from pipeline.shipped import AUTO
from pipeline.upscaling.encoding import check_format, encode_picture, encoder_bytes
from pipeline.upscaling.formats import FORMATS
from pipeline.upscaling.model_choice import model_for
from pipeline.upscaling.pictures import decode_picture
from pipeline.upscaling.reading import refusal_text
from pipeline.upscaling.uploads import TimedInput
from pipeline.upscaling.upscaler import Upscaler
from pipeline.upscaling.waiting import EncodedResult, RequestAborted, Waiting, Work

MAX_BYTES = 64_000_000
MAX_PIXELS = 16_000_000
"""Limit for a picture, all frames together; a quarter of it at scale 8."""
MAX_WAITING_BYTES = 4 * MAX_BYTES
"""Limit for the files that wait to be enlarged, all together."""
KEPT_UPSCALERS = 4
SCALES = ("2", "3", "4", "8")
RESTORING_SCALE = "1"
"""Of models that make pictures no larger."""
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
    header `X-Model` names the model that was used; `X-Notices` says what the result lacks of the
    file. With `&progress=1` the response is lines of JSON, several a second: objects of `phase`,
    `done`, `total` and `unit`; at last one of `error`, with `again` where the same request may
    succeed later, or one of `bytes`, `type`, `width`, `height`, `model` and `notices`, and then so
    many bytes, the result.

    `models`: labels on the page → models as of `model_for`; `restoring`: labels of those that make
    pictures no larger. One picture is computed at a time; the others wait, in the order in which
    they came.
    """

    def __init__(
        self, models: Mapping[str, str], device: str = "auto", restoring: Collection[str] = ()
    ) -> None:
        self._models, self._restoring = dict(models), list(restoring)
        self._upscaler = lru_cache(KEPT_UPSCALERS)(partial(_make_upscaler, device=device))
        self._computing = ThreadPoolExecutor(1, "upscale")
        self._waiting = Waiting(MAX_WAITING_BYTES)
        self._closed = Event()
        # Read at the start, as this program is: an upgrade must not mix their versions.
        self._page = _render_page(self._models, self._restoring)
        self._page_files = {path: _template(path) for path in _PAGE_FILES}

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
        except RequestAborted:
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
            return Response(self._page_files[request.path], mimetype=_PAGE_FILES[request.path])
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
        scales = [RESTORING_SCALE] if model in self._restoring else SCALES
        scale = float(_choice(request, "scale", scales))
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
        if result.notices:
            named["X-Notices"] = "; ".join(result.notices)
        return Response(result.data, mimetype=result.mime_type, headers=named)

    def _submit(self, request: Request, model: str, scale: float, format: str) -> "Work":
        """Return the work that waits. Raises `HTTPException` and `RequestAborted`."""
        work = Work(request.environ.get("werkzeug.socket"), self._closed)
        with ExitStack() as unless_submitted:
            self._waiting.enter(work, _body_bytes(request))
            unless_submitted.callback(self._waiting.leave, work)
            work.data = _body(request)
            try:
                work.result = self._computing.submit(self._compute, model, scale, format, work)
            except RuntimeError:
                raise RequestAborted from None
            unless_submitted.pop_all()
        # The executor keeps a cancelled work until its turn.
        work.result.add_done_callback(lambda _: self._waiting.leave(work))
        return work

    def _compute(self, model: str, scale: float, format: str, work: "Work") -> "EncodedResult":
        """Enlarge the bytes of a picture's file. Raises `HTTPException` and `RequestAborted`."""
        try:
            work.enter("decode")
            data = self._waiting.leave(work)
            head = data[:HEAD_BYTES]
            picture = decode_picture(data, _max_pixels(scale))
            del data
            name = model_for(model, picture)
            upscaler = self._upscaler(name, scale)
            size = upscaler.size_of(*picture.size)
            check_format(format, picture, *size)
            encoder = encoder_bytes(format, picture, *size)
            large = upscaler.upscale_picture(picture, work, encoder)
            # Frames of an animation are enlarged, and counted, while they are encoded.
            work.enter("encode")
            result = encode_picture(large, format)
        except ImageRefused as refusal:
            raise UnprocessableEntity(_refusal_text(refusal, head, scale)) from None
        except PipelineError as error:
            raise UnprocessableEntity(f"{error}.") from None
        except Exception as error:
            if not is_machine_fault(error):
                raise
            raise ServiceUnavailable(f"The computer failed: {fault_text(error)}.") from None
        chosen = name if model == AUTO else None
        return EncodedResult(result, FORMATS[format].mime_type, *size, chosen, picture.notices)


def _lines(work: Work) -> Iterator[bytes]:
    """Yield progress as lines of JSON, then the result. Where it is aborted, it ends early."""
    try:
        with closing(work.wait()) as states:
            yield from map(_line, states)
        result = work.result.result()
    except HTTPException as error:
        again = {} if isinstance(error, UnprocessableEntity) else {"again": True}
        yield _line({"error": error.description, **again})
    except RequestAborted:
        return
    except Exception:
        # The status has been sent: the message can only be a line.
        _log.exception("a picture failed")
        yield _line({"error": "The program failed; its terminal shows why.", "again": True})
    else:
        size = {"width": result.width, "height": result.height}
        shown = {"bytes": len(result.data), "type": result.mime_type, "model": result.model}
        yield _line(shown | size | {"notices": result.notices})
        yield result.data


def _line(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def _render_page(models: Iterable[str], restoring: Collection[str]) -> str:
    scales = [RESTORING_SCALE, *SCALES] if restoring else SCALES
    templates = Environment(
        loader=PackageLoader("pipeline.upscaling"), autoescape=True, undefined=StrictUndefined
    )
    return templates.get_template("page.html.j2").render(
        models=models,
        restoring=restoring,
        max_pixels={scale: _max_pixels(float(scale)) for scale in scales},
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


def _refusal_text(refusal: ImageRefused, head: bytes, scale: float) -> str:
    """Return the message for a file, which begins with `head`, that is not decoded."""
    if refusal.extent is not None:
        max_pixels = _max_pixels(scale)
        millions, rest = divmod(max_pixels, 10**6)
        shown = f"{max_pixels} pixels" if rest else f"{millions} megapixels"
        return (
            f"{refusal.extent} are more than {shown}, the limit for {scale:g} times as large. "
            "The command “pipeline upscale” takes larger ones."
        )
    return f"No picture that can be read: {refusal_text(refusal, '', head)}."


def _make_upscaler(model: str, scale: float, device: str) -> Upscaler:
    return Upscaler(model, scale=scale, device=device)


def _choice(request: Request, name: str, choices: Iterable[str]) -> str:
    """Return a query parameter that must be one of `choices`."""
    value = request.args.get(name, "")
    if not value:
        raise BadRequest(f"{name}: is missing or empty; name one of {', '.join(choices)}.")
    if value not in choices:
        raise BadRequest(f"{name}: {value!r} is none of {', '.join(choices)}.")
    return value


def _body_bytes(request: Request) -> int:
    """Return how many bytes of the body will be read at most."""
    if request.content_length is None or "Transfer-Encoding" in request.headers:
        raise LengthRequired("A picture's length must come before it, as Content-Length.")
    return min(request.content_length, MAX_BYTES)


def _body(request: Request) -> bytes:
    request.environ["wsgi.input"] = TimedInput(request.environ["wsgi.input"])
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        limit = MAX_BYTES // 10**6
        raise RequestEntityTooLarge(f"The file has more than {limit} MB.") from None
    except ClientDisconnected:
        raise BadRequest("The upload ended before the picture's last byte.") from None
