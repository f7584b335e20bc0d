"""HTTP/1.1 server for a WSGI application, on a port of this computer."""

import contextlib
import logging
import socket
import sys
import threading
import weakref
from collections.abc import Callable
from socketserver import BaseServer
from types import TracebackType
from typing import IO, Any, Self, cast
from wsgiref.handlers import SimpleHandler
from wsgiref.types import WSGIApplication

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, select_address_family

from pipeline.errors import UsageError

_POLL_SECONDS = 0.05

_log = logging.getLogger(__name__)


class Server:
    """Server of `app` at `host` and `port` (0: any free port).

    As a context manager it serves from a thread; `serve_forever` serves from the caller's thread.
    On closing, it calls `on_close`, which may cut unfinished responses short, and then waits for
    them. Raises `UsageError` when it cannot listen at the address.
    """

    def __init__(
        self,
        app: WSGIApplication,
        host: str = "127.0.0.1",
        port: int = 0,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_close = on_close
        self._server = _Server(app, host, port)
        self._thread = threading.Thread(target=self._server.serve, name="server", daemon=True)

    @property
    def url(self) -> str:
        """Address of the server: scheme, host and port, without a slash at the end."""
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
        self._close()

    def serve_forever(self) -> None:
        """Serve until interrupted. Raises `KeyboardInterrupt`."""
        try:
            self._server.serve()
        finally:
            self._close()

    def _close(self) -> None:
        self._on_close()
        self._server.server_close()


class _Handler(WSGIRequestHandler):
    """Handler of one connection, which is kept alive from request to request.

    Werkzeug's own `run_wsgi` closes the connection after each response, so the standard library's
    WSGI handler runs the application.
    """

    protocol_version = "HTTP/1.1"
    # Seconds that a connection may be idle; those of nginx.
    timeout = 75
    # Status, headers and body go out in full packets, and the last of them at once.
    wbufsize = -1
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        self.environ = self.make_environ()
        reader, writer = cast(IO[bytes], self.rfile), cast(IO[bytes], self.wfile)
        gateway = _Gateway(reader, writer, sys.stderr, self.environ)
        gateway.run(self.server.app)
        # The unread rest of a request's body would be parsed as the next request.
        has_body = self.headers.get("Content-Length", "0") != "0"
        if gateway.failed or has_body or "Transfer-Encoding" in self.headers:
            self.close_connection = True

    def finish(self) -> None:
        # Unsent data cannot be flushed to a client that has closed the connection.
        with contextlib.suppress(ConnectionError):
            super().finish()

    def log(self, type: str, message: str, *args: object) -> None:
        _log.debug(message, *args)


class _Gateway(SimpleHandler):
    """Runs the application for one request; `failed` if it raised during the response."""

    http_version = "1.1"
    server_software = "pipeline"
    wsgi_file_wrapper = None
    failed = False

    def log_exception(self, exc_info: Any) -> None:
        self.failed = True
        level = logging.DEBUG if isinstance(exc_info[1], TimeoutError) else logging.ERROR
        _log.log(level, "a response failed", exc_info=exc_info)


class _Server(ThreadedWSGIServer):
    """The listening socket and its connections, which are closed with it."""

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
        # Werkzeug's own method would swallow a KeyboardInterrupt.
        BaseServer.serve_forever(self, _POLL_SECONDS)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def server_close(self) -> None:
        # Idle keep-alive connections would block their threads for ever.
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()
