"""Sites and proxies that cannot be reached, over real sockets."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pipeline.scraping.connection_errors import proxy_for
from pipeline.scraping.fetch_errors import FetchError, SiteError, UnreachableError
from tests.scraping.site import ScriptedSite
from tests.scraping.test_session import FILE, fetch

SITE = "http://booru.test"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def problem(url: str, **options: object) -> str:
    """The message of the error of a request, without its address."""
    with pytest.raises((FetchError, SiteError)) as error:
        fetch(url + FILE, **options)  # type: ignore[arg-type]
    return str(error.value).removeprefix(f"{url}/robots.txt: ")


def test_a_dead_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"127.0.0.1:{closed_port()}"
    monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@{proxy}")
    assert problem(SITE) == (
        f"cannot be reached by the proxy http://{proxy} of HTTP_PROXY: Connection refused"
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with answering(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    ) as url:
        monkeypatch.setenv("all_proxy", url)
        assert problem(f"{scheme}://booru.test", retries=3) == (
            f"the proxy {url} of all_proxy: wants a name and a password (HTTP 407); write them "
            "into all_proxy (http://NAME:PASSWORD@HOST:PORT), or unset it"
        )


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://", "Please check proxy URL. It is malformed and could be missing the host"),
        ("http://[bad", "'[bad' is not a valid host or port"),
        ("http://a..b:1", "'a..b', label empty or too long"),
        ("ftp://a:1", "Proxy URL had unsupported scheme ftp, should use http:// or https://"),
    ],
)
def test_a_proxy_that_is_no_address(
    monkeypatch: pytest.MonkeyPatch, proxy: str, reason: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    said = problem(SITE)
    assert said.startswith(f"the proxy {proxy} of HTTP_PROXY: ")
    assert reason in said
    assert said.endswith("; correct or unset HTTP_PROXY")


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("me:secret@127.0.0.1:1", "127.0.0.1:1"),
        ("me:sec/ret@127.0.0.1:1", "127.0.0.1:1"),
        ("http:/me:secret@127.0.0.1:1", "127.0.0.1:1"),
        ("http://me:sec/ret@127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://me:sec#ret@127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://me:1/secret@127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://me:sec@ret@127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://me:secret@127.0.0.1:99999", "http://127.0.0.1:99999"),
        ("http://me:sec%2Fret@127.0.0.1:99999", "http://127.0.0.1:99999"),
        ("//me:sec ret@127.0.0.1:99999", "//127.0.0.1:99999"),
        (f"http://me:{'secret' * 50}@127.0.0.1:99999", "http://127.0.0.1:99999"),
        ("http://me:secret秘@127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://me:secret@", "http://"),
    ],
)
def test_the_password_of_a_proxy_is_in_no_message(
    monkeypatch: pytest.MonkeyPatch, proxy: str, shown: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    said = problem(SITE)
    assert f"the proxy {shown} of HTTP_PROXY: " in said
    assert "sec" not in said
    assert "ret" not in said


def test_socks_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("socks"):
        pytest.skip("PySocks is installed here")
    monkeypatch.setenv("ALL_PROXY", "socks5h://me:secret@127.0.0.1:1")
    assert problem(SITE) == (
        "the proxy socks5h://127.0.0.1:1 of ALL_PROXY: Missing dependencies for SOCKS support; "
        "install PySocks (pip install pysocks), or unset ALL_PROXY"
    )


def test_hosts_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test")
    monkeypatch.setenv("NO_PROXY", "booru.test")
    assert proxy_for("http://img.booru.test/1.png") is None
    assert proxy_for("http://other.test/1.png") == ("HTTP_PROXY", "http://proxy.test")
    assert proxy_for("https://other.test/1.png") is None


def test_a_certificate_that_is_not_trusted_is_no_reason_to_retry(tmp_path: Path) -> None:
    messages: list[str] = []
    with ScriptedSite(1).serve(self_signed(tmp_path / "key.pem")) as url:
        assert problem(url, retries=5, log=messages.append) == (
            "cannot be reached: self-signed certificate"
        )
    assert messages == []


def test_a_site_without_tls() -> None:
    site = ScriptedSite(1)
    with site.serve() as url:
        reason = problem(url.replace("http:", "https:"))
    assert reason == "cannot be reached: TLS: wrong version number"


BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "holds no certificate"),
        ("no certificate\n", "holds no certificate"),
        (BROKEN, "holds no certificate"),
    ],
)
def test_certificates_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str | None, reason: str
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(variable, str(path))
    with ScriptedSite(1).serve(self_signed(tmp_path / "key.pem")) as url:
        assert problem(url) == (
            f"cannot be requested: {path}, named by {variable}, {reason}; correct or unset "
            f"{variable}"
        )


def test_where_certificates_are_named_is_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    with (
        ScriptedSite(1).serve(self_signed(tmp_path / "key.pem")) as url,
        pytest.raises(UnreachableError) as error,
    ):
        fetch(url)
    assert error.value.advice == (
        f"check the address, this computer's clock and the certificates in {tmp_path} "
        "(REQUESTS_CA_BUNDLE names others)"
    )


def self_signed(path: Path) -> ssl.SSLContext:
    """Return the context of a server at 127.0.0.1 with a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    encoding = Encoding.PEM
    secret = key.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Yield the address of a server that gives `answer` to its first client, and leaves."""

    def serve() -> None:
        with server.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()
