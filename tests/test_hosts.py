"""Which Host headers a server takes for its own."""

import socket

import pytest

from pipeline.errors import UsageError
from pipeline.hosts import HostNames, origin_of

COMPUTER = socket.gethostname()
ON_LOOPBACK = ("127.0.0.1", "127.0.0.1", None)
ON_ALL = ("0.0.0.0", "0.0.0.0", None)
NAMED = ("Box.Example", "192.0.2.7", None)
BEHIND_PROXY = ("127.0.0.1", "127.0.0.1", "Upscale.Example:8443")


@pytest.mark.parametrize(
    ("server", "accepted", "refused"),
    [
        (
            ON_LOOPBACK,
            [
                "localhost",
                "LOCALHOST:8932",
                "localhost.:8932",
                "127.0.0.1",
                "127.0.0.1:1",
                "127.0.0.2:80",
                "[::1]",
                "[::1]:8932",
                "[0:0:0:0:0:0:0:1]:8932",
                "[::ffff:127.0.0.1]",
            ],
            [
                "",
                ":8932",
                "elsewhere.example",
                "localhost.elsewhere.example",
                "127.0.0.1.elsewhere.example",
                "elsewhere.example:localhost",
                "elsewhere.example,localhost",
                "user@localhost",
                "localhost/",
                "::1",
                "[::1",
                "[localhost]",
                "192.0.2.7",
                "[2001:db8::1]",
                "a" * 64,
                "..",
                COMPUTER + ".elsewhere.example",
            ],
        ),
        (("::1", "::1", None), ["[::1]:8932", "LocalHost"], ["elsewhere.example"]),
        (
            ON_ALL,
            ["192.0.2.7:8932", "[2001:db8::1]", "localhost", COMPUTER, COMPUTER.upper() + ":1"],
            ["elsewhere.example", "192.0.2.7.elsewhere.example"],
        ),
        (NAMED, ["box.example:8932", "BOX.EXAMPLE", "192.0.2.7"], ["elsewhere.example"]),
        (("bücher.example", "192.0.2.7", None), ["xn--bcher-kva.example"], ["bucher.example"]),
        (BEHIND_PROXY, ["upscale.example", "upscale.example:8443", "localhost"], ["other.example"]),
    ],
)
def test_only_its_own_hosts_are_accepted(
    server: tuple[str, str, str | None], accepted: list[str], refused: list[str]
) -> None:
    names = HostNames.of_server(*server)
    assert [host for host in accepted if host not in names] == []
    assert [host for host in refused if host in names] == []


@pytest.mark.parametrize("proxy", ["", "https://upscale.example", "upscale.example/page", "a b"])
def test_a_proxy_that_is_no_name_is_a_mistake(proxy: str) -> None:
    with pytest.raises(UsageError, match="no host name; give the name alone"):
        HostNames.of_server("127.0.0.1", "127.0.0.1", proxy)


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", "LOCALHOST:8932", "http://localhost:8932"),
        ("http", "localhost:80", "http://localhost"),
        ("https", "upscale.example:443", "https://upscale.example"),
        ("http", "my_box:443", "http://my_box:443"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(scheme: str, host: str, origin: str) -> None:
    assert origin_of({"wsgi.url_scheme": scheme, "HTTP_HOST": host}) == origin
