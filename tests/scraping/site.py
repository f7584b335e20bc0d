"""A site for tests over real HTTP: a few posts, and faults that are set by path."""

import hashlib
import io
import json
import os
import re
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

Fault = Callable[["Handler", bytes], None]

PAGE = b"<!DOCTYPE html><html><head><title>Oh</title></head></html>"
CHALLENGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"


def picture(seed: int, width: int = 40, height: int = 32, kind: str = "PNG") -> bytes:
    """A file of noise, never the same for two seeds."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


class ScriptedSite:
    """Posts 1 to `count`; each request of a path uses up one of `faults[path]`."""

    def __init__(self, count: int) -> None:
        self.files = {f"/images/1/{number}.png": picture(number) for number in range(1, count + 1)}
        self.posts = [self.post(number) for number in range(count, 0, -1)]
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.robots: tuple[int, str] = (404, "")
        self.robots_location: str | None = None
        self.robots_chunk = 0
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.times: list[float] = []
        self.page_size = 1000

    def post(self, number: int) -> dict[str, object]:
        """The record of one post, in the shape of 2025 without the addresses."""
        return {
            "id": number,
            "width": 40,
            "height": 32,
            "directory": 1,
            "image": f"{number}.png",
            "hash": hashlib.md5(self.files[f"/images/1/{number}.png"]).hexdigest(),
            "rating": "general",
            "tags": f"solo n{number}",
            "source": "",
            "parent_id": 0,
        }

    def paths(self) -> list[str]:
        """Return the paths requested so far, without queries."""
        return [urlsplit(path).path for path, _ in self.requests]

    def listing(self, query: str) -> bytes:
        tags = parse_qs(urlsplit(query).query).get("tags", [""])[0]
        cursor = re.search(r"id:<(\d+)", tags)
        below = int(cursor[1]) if cursor else 2**62
        found = [post for post in self.posts if int(str(post.get("id", 0))) < below]
        return json.dumps(found[: self.page_size]).encode() if found else b""

    @contextmanager
    def serve(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Yield the address of the running site, https with `tls`."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": self}))
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class Handler(BaseHTTPRequestHandler):
    site: ScriptedSite
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.site.times.append(time.monotonic())
        self.site.requests.append((self.path, dict(self.headers.items())))
        path = urlsplit(self.path).path
        if path == "/robots.txt":
            self.send_robots(*self.site.robots)
            return
        body = self.site.listing(self.path) if path == "/index.php" else self.site.files.get(path)
        if self.site.faults[path]:
            self.site.faults[path].pop(0)(self, body or b"")
        elif body is None:
            self.send(404, b"")
        else:
            self.send_file(body)

    def send_robots(self, status: int, text: str) -> None:
        """Send robots.txt, redirect to another one, or send chunks of `robots_chunk` bytes."""
        body, size = text.encode(), self.site.robots_chunk
        if self.site.robots_location is not None:
            self.send(301, b"", Location=self.site.robots_location)
        elif size:
            chunked(size)(self, body)
        else:
            self.send(status, body)

    def send(self, status: int, body: bytes, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | named).items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body)

    def send_file(self, body: bytes) -> None:
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.headers.get("If-Range") == etag:
            start = int(asked[1])
            content_range = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.send(206, body[start:], ETag=etag, Content_Range=content_range)
        else:
            self.send(200, body, ETag=etag)

    def handle(self) -> None:
        # A killed client resets its connections.
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        pass


def answer(status: int, body: bytes = b"", **headers: str) -> Fault:
    """Answer every request with `status`; `Retry_After="1"` gives a header."""
    return lambda handler, _: handler.send(status, body, **headers)


def chunked(size: int, status: int = 200) -> Fault:
    """Send the body in HTTP chunks of `size` bytes."""

    def fault(handler: Handler, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(body), size):
            part = body[start : start + size]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")

    return fault


def truncated(handler: Handler, body: bytes) -> None:
    """Announce the full length, send half, and hang up."""
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    handler.send(200, body[: len(body) // 2], Content_Length=str(len(body)), ETag=etag)
    handler.close_connection = True


def overstated(handler: Handler, body: bytes) -> None:
    """Announce more than there is."""
    handler.send(200, body, Content_Length=str(len(body) + 100))
    handler.close_connection = True


def dropped(handler: Handler, _: bytes) -> None:
    """Hang up without an answer."""
    handler.close_connection = True


def stalled(handler: Handler, body: bytes) -> None:
    """Send half, then nothing for longer than any test waits, unless the client leaves."""
    handler.send(200, body[: len(body) // 2], Content_Length=str(len(body)))
    for _ in range(600):
        time.sleep(0.1)
        with suppress(BlockingIOError):
            if handler.connection.recv(1, 0x40 | 0x02) == b"":  # MSG_DONTWAIT, MSG_PEEK
                return


def dripping(handler: Handler, body: bytes) -> None:
    """Send the body at 200 bytes per second, until the client leaves."""
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    handler.send(200, b"", Content_Length=str(len(body)), ETag=etag)
    with suppress(ConnectionError):
        for start in range(0, len(body), 4):
            handler.wfile.write(body[start : start + 4])
            time.sleep(0.02)


def rot(path: Path) -> None:
    """Change a file as a disk does: same length, same time."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
