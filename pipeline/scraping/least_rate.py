"""HTTP transfers that fail when the server sends too slowly, and keep what came until then."""

import http.client
import io
import time
from collections.abc import Iterator
from functools import cache
from socket import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter

LEAST_RATE = 1000.0
"""Bytes per second that a server must send on average over the time of the session's timeout."""

_CHUNK_BYTES = 65536


class LeastRateAdapter(HTTPAdapter):
    """Adapter whose reads, of headers and bodies, time out below `LEAST_RATE`.

    The timeout of requests alone is for one read, and each byte that comes begins it anew.
    """

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """Return the pool of requests' own adapter, with connections that measure the rate."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        pool.ConnectionCls = _with_least_rate(pool.ConnectionCls)
        return pool


def chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the decoded body as it comes. Raises errors of urllib3.

    `iter_content` waits until a chunk is full, and loses the bytes of one that breaks off.
    """
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        yield chunk


class _RateReader(io.RawIOBase):
    """Reads from `raw`, and raises `TimeoutError` below `LEAST_RATE` over `period` seconds.

    The time until the first bytes does not count: the socket's own timeout limits that.
    """

    def __init__(self, raw: io.RawIOBase, period: float) -> None:
        self._raw, self._period = raw, period
        self._has_begun = False
        self._waited, self._bytes = 0.0, 0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:
        if self._waited >= self._period:
            if self._bytes < LEAST_RATE * self._waited:
                raise TimeoutError
            self._waited, self._bytes = 0.0, 0
        before = time.monotonic()
        count = self._raw.readinto(buffer)
        if self._has_begun:
            self._waited += time.monotonic() - before
            self._bytes += count or 0
        self._has_begun = True
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        period = sock.gettimeout()
        if period is not None:
            self.fp = io.BufferedReader(_RateReader(self.fp.detach(), period))


@cache
def _with_least_rate(connection: type[Any]) -> type[Any]:
    """Return the class `connection` of HTTP connections with responses that measure the rate."""
    if connection.response_class is _Response:
        return connection
    return type(connection.__name__, (connection,), {"response_class": _Response})
