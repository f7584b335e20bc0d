"""An embedded booru: a folder of pictures behind the Gelbooru 0.2 protocol, over real HTTP.

It answers as safebooru.org is known to answer, oddities included: JSON comes as `text/html`, no
posts as an empty body, and an error as XML with status 200 even where JSON was asked for. So
clients written for such sites work with it unchanged.
"""

import contextlib
import io
import logging
import re
import secrets
import socket
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from socketserver import BaseServer
from types import TracebackType
from typing import IO, Any, Self, cast
from wsgiref.handlers import SimpleHandler
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from PIL import Image
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, select_address_family
from werkzeug.utils import redirect, send_file
from werkzeug.wrappers import Request, Response

from pipeline.booru.collection import Picture
from pipeline.booru.pages import (
    comments_xml,
    error_xml,
    list_page,
    posts_xml,
    tags_xml,
    view_page,
)
from pipeline.booru.search import find_tags, parse_query
from pipeline.booru.served import ServedPost, TagCount, json_body
from pipeline.errors import UsageError

DEFAULT_LIMIT = 100
HARD_LIMIT = 1000
DEEPEST_OFFSET = 200_000

_ROBOTS = "User-agent: *\nDisallow:\n"
_MIME_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
}
_LIST_ADDRESS = "index.php?page=post&s=list&tags=all"
_POLL_SECONDS = 0.05

_log = logging.getLogger(__name__)


class Site:
    """The booru as a WSGI application."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._posts = [ServedPost(picture) for picture in pictures]
        self._by_id = {post.id: post for post in self._posts}
        counts = Counter(tag for post in self._posts for tag in post.tags)
        self._tags = {
            name: TagCount(number, name, counts[name])
            for number, name in enumerate(sorted(counts), start=1)
        }
        # No file is ever looked for by a path that a client sent: only by these names.
        self._originals = {post.file_path: post for post in self._posts}
        self._previews = {post.preview_path: (post, post.preview_size) for post in self._posts}
        self._previews |= {
            post.sample_path: (post, post.sample_size) for post in self._posts if post.has_sample
        }

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            answer: WSGIApplication = self._answer(request)
        except HTTPException as error:
            answer = error
        return answer(environ, start)

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        path = re.sub("/+", "/", request.path)
        if path in ("/", "/index.php"):
            return self._index(request)
        if path == "/robots.txt":
            return Response(_ROBOTS, mimetype="text/plain")
        if post := self._originals.get(path):
            return _original(post, request)
        if preview := self._previews.get(path):
            return _preview(*preview)
        raise NotFound

    def _index(self, request: Request) -> Response:
        page = request.args.get("page", "post")
        kind = request.args.get("s", "post" if page == "dapi" else "list")
        match page, kind:
            case "dapi", "post":
                return self._api_posts(request)
            case "dapi", "tag":
                return self._api_tags(request)
            case "dapi", "comment":
                return _xml(comments_xml())
            case "post", "list":
                return self._list(request)
            case "post", "view":
                return self._view(request)
            case "post", "random":
                return redirect(f"index.php?page=post&s=view&id={secrets.choice(self._posts).id}")
        raise NotFound

    def _api_posts(self, request: Request) -> Response:
        limit = min(_number(request, "limit", DEFAULT_LIMIT), HARD_LIMIT)
        offset = _number(request, "pid", 0) * limit
        if offset > DEEPEST_OFFSET:
            return _xml(error_xml("Search error: API limited due to abuse."))
        found = self._find(request)
        shown, site = found[offset : offset + limit], request.host_url.rstrip("/")
        if request.args.get("json") == "1":
            return _html(json_body(shown, site))
        return _xml(posts_xml(shown, len(found), offset, site))

    def _find(self, request: Request) -> list[ServedPost]:
        found = parse_query(request.args.get("tags", "")).find(self._posts)
        # Clients send 0 for what they do not ask for.
        if wanted := _number(request, "id", 0):
            found = [post for post in found if post.id == wanted]
        if wanted := _number(request, "cid", 0):
            found = [post for post in found if post.picture.change == wanted]
        return found

    def _api_tags(self, request: Request) -> Response:
        """The tags; the site gives XML here also when asked for JSON."""
        limit = min(_number(request, "limit", DEFAULT_LIMIT), HARD_LIMIT)
        first = _number(request, "pid", 0) * limit
        found = find_tags(
            self._tags.values(),
            number=_number(request, "id", 0),
            after=_number(request, "after_id", 0),
            name=request.args.get("name", ""),
            pattern=request.args.get("name_pattern", ""),
        )
        return _xml(tags_xml(found[first : first + limit]))

    def _list(self, request: Request) -> Response:
        query = request.args.get("tags", "")
        found = parse_query(query).find(self._posts)
        return _html(list_page(found, query, _number(request, "pid", 0), self._tags, request.host))

    def _view(self, request: Request) -> Response:
        post = self._by_id.get(_number(request, "id", 0))
        if post is None:
            return redirect(_LIST_ADDRESS)
        return _html(view_page(post, self._tags, request.host))


class Booru:
    """A running server of `site`, on a port of its own (0: any free one).

    As a context manager it serves from a thread; `serve_forever` serves from the caller's.
    Raises UsageError when the address cannot be had.
    """

    def __init__(self, site: WSGIApplication, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server(site, host, port)
        self._thread = threading.Thread(target=self._server.serve, name="booru", daemon=True)

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        host = self._server.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Serve until interrupted; a KeyboardInterrupt goes on to the caller."""
        try:
            self._server.serve()
        finally:
            self._server.server_close()


class _Handler(WSGIRequestHandler):
    """One connection: HTTP/1.1, kept alive from request to request.

    Werkzeug's own `run_wsgi` ends every connection, so the standard library's WSGI handler runs
    the application.
    """

    protocol_version = "HTTP/1.1"
    timeout = 75
    wbufsize = -1
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        self.environ = self.make_environ()
        reader, writer = cast(IO[bytes], self.rfile), cast(IO[bytes], self.wfile)
        gateway = _Gateway(reader, writer, sys.stderr, self.environ)
        gateway.run(self.server.app)
        # A request body is nothing this site reads; what follows it would be taken for a request.
        has_body = self.headers.get("Content-Length", "0") != "0"
        if gateway.failed or has_body or "Transfer-Encoding" in self.headers:
            self.close_connection = True

    def finish(self) -> None:
        # What was left unsent to a client that has gone cannot be flushed.
        with contextlib.suppress(ConnectionError):
            super().finish()

    def log(self, type: str, message: str, *args: object) -> None:
        _log.debug(message, *args)


class _Gateway(SimpleHandler):
    """One request given to the application; `failed` when its answer broke off."""

    http_version = "1.1"
    server_software = "pipeline-booru"
    wsgi_file_wrapper = None
    failed = False

    def log_exception(self, exc_info: Any) -> None:
        self.failed = True
        level = logging.DEBUG if isinstance(exc_info[1], TimeoutError) else logging.ERROR
        _log.log(level, "an answer failed", exc_info=exc_info)


class _Server(ThreadedWSGIServer):
    """The listening socket and its connections, which end with it."""

    daemon_threads = False

    def __init__(self, app: WSGIApplication, host: str, port: int) -> None:
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        family = select_address_family(host, port)
        try:
            listener = socket.create_server((host, port), family=family)
        except OSError as error:
            fault = str(error.strerror or error).partition(" (while attempting")[0]
            raise UsageError(
                f"{host}:{port}: cannot listen there ({fault}); choose another port or host"
            ) from None
        # Werkzeug would print and exit the program where it cannot bind.
        with listener:
            super().__init__(host, port, app, _Handler, fd=listener.fileno())

    def serve(self) -> None:
        # Werkzeug's would swallow a KeyboardInterrupt.
        BaseServer.serve_forever(self, _POLL_SECONDS)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def server_close(self) -> None:
        # Idle kept-alive connections would hold their threads for ever.
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


def _number(request: Request, name: str, default: int) -> int:
    """A number of the query, `default` where it is none."""
    text = request.args.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else default


def _html(text: str) -> Response:
    return Response(text, content_type="text/html; charset=UTF-8")


def _xml(text: str) -> Response:
    return Response(text, content_type="text/xml;charset=UTF-8")


def _original(post: ServedPost, request: Request) -> Response:
    mime_type = _MIME_TYPES.get(post.picture.extension, "application/octet-stream")
    try:
        return send_file(
            post.picture.path, request.environ, mimetype=mime_type, download_name=post.image
        )
    except OSError as error:
        raise NotFound from error


def _preview(post: ServedPost, size: tuple[int, int]) -> Response:
    """The picture made smaller, as a JPEG on white."""
    try:
        with Image.open(post.picture.path) as image:
            image.draft("RGB", size)
            small = image.convert("RGBA").resize(size, Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotFound from error
    flat = Image.new("RGB", size, "white")
    flat.paste(small, mask=small.getchannel("A"))
    body = io.BytesIO()
    flat.save(body, "JPEG", quality=85)
    return Response(body.getvalue(), mimetype="image/jpeg")
