"""HTTP/1.1 server for a WSGI application, on a port of this computer."""

import contextlib
import logging
import re
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
from socketserver import BaseServer
from types import TracebackType
from typing import IO, Any, Self, cast
from wsgiref.handlers import SimpleHandler
from wsgiref.headers import Headers
from wsgiref.types import WSGIApplication

from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from pipeline.errors import UsageError
from pipeline.hosts import HostCheck, HostNames

_POLL_SECONDS = 0.05
# How long the rest of an upload is read that was answered before its end, and how long a pause in
# it may be; the times of nginx.
_LINGER_SECONDS = 30
_LINGER_PAUSE_SECONDS = 5

_log = logging.getLogger(__name__)


class Server:
    """Server of `app` at `host` and `port` (0: any free port); "::" includes all of IPv4.

    As a context manager it serves from a thread; `serve_forever` serves from the caller's thread.
    Requests for other hosts are refused: see `HostNames`. `proxy`: name of a proxy in front of the
    server, whose headers X-Forwarded-Proto and X-Forwarded-Host are believed. On closing, it calls
    `on_close`, which may cut unfinished responses short, and then waits for them. Raises
    `UsageError` when it cannot listen at the address.
    """

    def __init__(
        self,
        app: WSGIApplication,
        host: str = "127.0.0.1",
        port: int = 0,
        on_close: Callable[[], None] = lambda: None,
        proxy: str | None = None,
    ) -> None:
        self._on_close = on_close
        self._host = host.strip("[]")
        with _listener(self._host, port) as listener:
            self._address, self._port = listener.getsockname()[:2]
            names = HostNames.of_server(self._host, self._address, proxy)
            checked: WSGIApplication = HostCheck(app, names, self.url)
            if proxy is not None:
                # The proxy's own Host too: a page of another site can send X-Forwarded-Host.
                forwarded = ProxyFix(checked, x_for=0, x_proto=1, x_host=1)
                checked = HostCheck(forwarded, names, self.url)
            self._server = _Server(checked, listener)
        self._thread = threading.Thread(target=self._server.serve, name="server", daemon=True)

    @property
    def url(self) -> str:
        """Address of the server: scheme, host and port, without a slash at the end.

        Of a server at all addresses it is that of this computer.
        """
        address = ip_address(self._address)
        loopback = "127.0.0.1" if address.version == 4 else "::1"
        # RFC 6874 writes the scope of an address so.
        host = loopback if address.is_unspecified else self._host.replace("%", "%25")
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

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


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address, by IPv4 where a name has several."""
    # Werkzeug would print and exit the program where it cannot bind.
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
        # The address has the scope, too, of a link's address such as fe80::1%eth0.
        return socket.create_server(address, family=family, dualstack_ipv6=both)
    except (OSError, UnicodeError) as error:
        fault = str(getattr(error, "strerror", None) or error).partition(" (while attempting")[0]
        raise UsageError(
            f"{host}:{port}: cannot listen there ({fault}); choose another port or host"
        ) from None


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

    def handle_expect_100(self) -> bool:
        # The client waits for it before it sends the body.
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def run_wsgi(self) -> None:
        lengths = self.headers.get_all("Content-Length", ["0"])
        if len(lengths) > 1 or not re.fullmatch("[0-9]+", lengths[0]):
            self.send_error(HTTPStatus.BAD_REQUEST, "Content-Length is not one number")
            self.close_connection = True
            return
        self.environ = self.make_environ()
        reader, writer = cast(IO[bytes], self.rfile), cast(IO[bytes], self.wfile)
        gateway = _Gateway(reader, writer, sys.stderr, self.environ)
        has_body = lengths != ["0"] or "Transfer-Encoding" in self.headers
        gateway.closes = has_body
        gateway.run(self.server.app)
        if gateway.failed or gateway.closes:
            self.close_connection = True
        if has_body:
            # The unread rest of the body would be parsed as the next request.
            self._discard_input()

    def _discard_input(self) -> None:
        """Read what the client still sends: the response is lost where it is cut off instead."""
        deadline = time.monotonic() + _LINGER_SECONDS
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_PAUSE_SECONDS)
            while time.monotonic() < deadline and self.connection.recv(65_536):
                pass

    def finish(self) -> None:
        # Unsent data cannot be flushed to a client that has closed the connection.
        with contextlib.suppress(ConnectionError):
            super().finish()

    def log(self, type: str, message: str, *args: object) -> None:
        _log.debug(message, *args)


class _Gateway(SimpleHandler):
    """Runs the application for one request.

    `failed` if it raised during the response; `closes` if the response ends the connection, as it
    does if it has no length.
    """

    http_version = "1.1"
    server_software = "pipeline"
    wsgi_file_wrapper = None
    failed = False
    closes = False
    headers: Headers
    status: str

    def cleanup_headers(self) -> None:
        super().cleanup_headers()
        has_no_body = self.status.startswith(("204", "304"))
        if "Content-Length" not in self.headers and not has_no_body:
            self.closes = True
        if self.closes:
            self.headers["Connection"] = "close"

    def log_exception(self, exc_info: Any) -> None:
        self.failed = True
        level = logging.DEBUG if isinstance(exc_info[1], TimeoutError) else logging.ERROR
        _log.log(level, "a response failed", exc_info=exc_info)


class _Server(ThreadedWSGIServer):
    """The listening socket and its connections, which are closed with it."""

    daemon_threads = False

    def __init__(self, app: WSGIApplication, listener: socket.socket) -> None:
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        address, port = listener.getsockname()[:2]
        super().__init__(address, port, app, _Handler, fd=listener.fileno())

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
