"""The server of the pages: addresses, hosts, and requests that are not as they should be."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

import psutil
import pytest
import requests
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from pipeline.errors import UsageError
from pipeline.hosts import origin_of
from pipeline.wsgi import Server

LIMIT = 1000
ALL_IPV4, ALL = "0.0.0.0", "::"


def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    """Answer with the request's body of up to `LIMIT` bytes, or else with its own origin."""
    request = Request(environ)
    request.max_content_length = LIMIT
    try:
        if request.path == "/unknown-length":
            return Response(iter([b"one ", b"two"]))(environ, start)
        body = request.get_data() or origin_of(environ).encode()
        return Response(body)(environ, start)
    except HTTPException as error:
        return error(environ, start)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(app) as running:
        yield running


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


def connect(server: Server) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def exchange(server: Server, *parts: bytes) -> bytes:
    """Send the parts, and read until the server ends the connection."""
    with connect(server) as connection:
        for part in parts:
            connection.sendall(part)
        return read_to_end(connection)


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("localhost", "http://localhost:"),
        ("LOCALHOST", "http://LOCALHOST:"),
        (ALL_IPV4, "http://127.0.0.1:"),
        pytest.param("::1", "http://[::1]:", marks=needs_ipv6),
        pytest.param("[::1]", "http://[::1]:", marks=needs_ipv6),
        pytest.param(ALL, "http://[::1]:", marks=needs_ipv6),
    ],
)
def test_the_url_opens_whatever_the_host_is_called(host: str, url: str) -> None:
    with Server(app, host) as server:
        assert server.url.startswith(url)
        answer = requests.get(server.url, timeout=60)
        assert (answer.status_code, answer.text) == (200, server.url.lower())


def link_local_address() -> str | None:
    """An address that is one only with the name of its interface, such as fe80::1%eth0."""
    every = (one for each in psutil.net_if_addrs().values() for one in each)
    return next((one.address for one in every if one.address.startswith("fe80:")), None)


@pytest.mark.skipif(link_local_address() is None, reason="no interface has such an address")
def test_an_address_keeps_the_interface_of_its_link() -> None:
    host = link_local_address()
    assert host is not None
    assert "%" in host
    with Server(app, host) as server:
        assert server.url.startswith(f"http://[{host.replace('%', '%25')}]:")
        with socket.create_connection((host, int(server.url.rpartition(":")[2]))) as connection:
            address = host.partition("%")[0]
            connection.sendall(f"GET / HTTP/1.0\r\nHost: [{address}]\r\n\r\n".encode())
            assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")


@needs_ipv6
def test_all_addresses_of_ipv6_include_those_of_ipv4() -> None:
    with Server(app, ALL) as server:
        port = urlsplit(server.url).port
        for host in ("127.0.0.1", "[::1]", "localhost"):
            assert requests.get(f"http://{host}:{port}", timeout=60).status_code == 200


@pytest.mark.parametrize("host", ["a..b", "192.0.2.1", "nowhere.invalid", "x" * 70])
def test_an_address_that_is_not_here_is_a_mistake(host: str) -> None:
    with pytest.raises(UsageError, match="cannot listen there"):
        Server(app, host)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: localhost", 200),
        ("GET / HTTP/1.1\r\nHost: LOCALHOST:1", 200),
        ("GET / HTTP/1.0", 200),
        ("GET / HTTP/1.1", 400),
        ("GET / HTTP/1.1\r\nHost:", 400),
        ("GET / HTTP/1.1\r\nHost: elsewhere.example", 400),
        ("GET / HTTP/1.0\r\nHost: elsewhere.example", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: elsewhere.example", 400),
        ("GET http://elsewhere.example/ HTTP/1.1\r\nHost: localhost", 400),
        ("HEAD / HTTP/1.1\r\nHost: elsewhere.example", 400),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 3", 400),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -3", 400),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: three", 400),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 3", 400),
    ],
)
def test_hosts_and_lengths_are_checked(server: Server, lines: str, status: int) -> None:
    answer = exchange(server, f"{lines}\r\nConnection: close\r\n\r\n".encode())
    assert int(answer.split()[1]) == status


def test_another_host_is_told_where_the_page_is(server: Server) -> None:
    answer = requests.get(server.url, headers={"Host": "elsewhere.example"}, timeout=60)
    assert answer.text == (
        f"Host 'elsewhere.example' is not a name of this server; open {server.url}\n"
    )


FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "upscale.example"}


@pytest.mark.parametrize(
    ("proxy", "headers", "expected"),
    [
        (None, FORWARDED | {"Host": "localhost"}, (200, "http://localhost")),
        ("upscale.example", FORWARDED | {"Host": "localhost"}, (200, "https://upscale.example")),
        (
            "upscale.example",
            {"X-Forwarded-Proto": "https", "Host": "upscale.example"},
            (200, "https://upscale.example"),
        ),
        ("upscale.example", {"Host": "localhost"}, (200, "http://localhost")),
        ("upscale.example", FORWARDED | {"Host": "elsewhere.example"}, (400, None)),
        (
            "upscale.example",
            FORWARDED | {"Host": "localhost", "X-Forwarded-Host": "elsewhere.example"},
            (400, None),
        ),
    ],
)
def test_forwarded_headers_are_believed_of_a_named_proxy_only(
    proxy: str | None, headers: dict[str, str], expected: tuple[int, str | None]
) -> None:
    with Server(app, proxy=proxy) as server:
        answer = requests.get(server.url, headers=headers, timeout=60)
    assert (answer.status_code, answer.text if answer.ok else None) == expected


def test_a_client_that_waits_to_be_asked_is_asked(server: Server) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    )
    with connect(server) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert read_to_end(connection).endswith(b"\r\n\r\nbody")


def test_an_answer_before_the_end_of_an_upload_arrives(server: Server) -> None:
    """The client sends far more than sockets hold, and reads only then."""
    size = 30_000_000
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()
    assert exchange(server, head, bytes(size)).startswith(b"HTTP/1.1 413 ")


def test_an_answer_of_unknown_length_ends_with_the_connection(server: Server) -> None:
    answer = exchange(server, b"GET /unknown-length HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\none two")


def test_the_next_upload_opens_a_connection(server: Server) -> None:
    """A client that is told of the end does not send into a closed connection."""
    parts = urlsplit(server.url)
    with closing(HTTPConnection(parts.netloc, timeout=60)) as client:
        for body in (b"one", b"two", bytes(2 * LIMIT)):
            client.request("POST", "/", body)
            answer = client.getresponse()
            assert answer.headers["Connection"] == "close"
            assert answer.status == (200 if len(body) < LIMIT else 413)
            assert (answer.read() == body) is (answer.status == 200)


def test_connections_are_kept(server: Server) -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert exchange(server, request * 2 + last).count(b"HTTP/1.1 200 ") == 3
