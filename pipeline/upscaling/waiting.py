"""Pictures that wait for a web page to enlarge them, and the one that is computed."""

import select
import socket
from collections.abc import Generator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from threading import Event, Lock

from werkzeug.exceptions import ServiceUnavailable

from pipeline.progress import Silent

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class EncodedResult:
    """A file of an enlarged picture; `model`: the one that `AUTO` took.

    `notices`: what it lacks of the picture's file.
    """

    data: bytes
    mime_type: str
    width: int
    height: int
    model: str | None
    notices: tuple[str, ...]


class RequestAborted(Exception):  # noqa: N818 - not an error
    """Nobody waits for the response any more."""


class Work(Silent):
    """One picture's computation, as seen by its own thread and by that of the request.

    A `Progress` that ends the computation when the app closes or the browser has disconnected.
    """

    def __init__(self, connection: socket.socket | None, closed: Event) -> None:
        self.data = b""
        """the picture's file, until it is decoded or nobody waits for it"""
        self.result: Future[EncodedResult] = Future()
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
        """Raise `RequestAborted` once the response has no reader."""
        self.state = self.state | {"done": done}
        self._check()

    def wait(self) -> Generator[dict[str, object], None, None]:
        """Yield the state, several times a second, until there is a result or an error.

        Raises `RequestAborted`. Closing the iterator aborts the computation.
        """
        try:
            while True:
                try:
                    self.result.exception(timeout=POLL_SECONDS)
                    return
                except TimeoutError:
                    yield self.state
                except CancelledError:
                    raise RequestAborted from None
                if self._disconnected():
                    raise RequestAborted
        finally:
            self._aborted.set()
            self.result.cancel()

    def _check(self) -> None:
        if self._closed.is_set() or self._aborted.is_set():
            raise RequestAborted

    def _disconnected(self) -> bool:
        if self._connection is None:
            return False
        try:
            # Until the response a browser sends nothing: readable and empty means closed.
            readable, _, _ = select.select([self._connection], [], [], 0)
            return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True


class Waiting:
    """Works that wait, with the files that they hold, of `max_bytes` together."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._bytes: dict[Work, int] = {}

    def enter(self, work: Work, size: int) -> None:
        """Keep room for a file of `size` bytes. Raises `ServiceUnavailable`."""
        with self._lock:
            if sum(self._bytes.values()) + size > self._max_bytes:
                raise ServiceUnavailable("Too many pictures wait here; send this one later.")
            self._bytes[work] = size

    def leave(self, work: Work) -> bytes:
        """Return the file of a work, which no longer holds it; no bytes if it has left before."""
        with self._lock:
            self._bytes.pop(work, None)
            data, work.data = work.data, b""
            return data
