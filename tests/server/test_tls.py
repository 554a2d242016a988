"""Certificate and key: what is refused at the start, and a server over TLS."""

import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from fastapi import FastAPI

from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.server.connection_limits import TIME_LIMITS
from glm3edge.server.tls import load_tls
from glm3edge.server.tls_protocol import TlsHttpProtocol, protocol_for
from tests.support.certificates import DAY, NOW, Authority, encrypt, make_authority
from tests.support.fakes import FakeBackend, say
from tests.support.raw_client import HEALTH, connect, read_all, statuses
from tests.support.scripted_server import running
from tests.support.servers import start_server, stop_server
from tests.support.waiting import SECONDS

pytestmark = pytest.mark.slow

LOOPS = ["auto", "asyncio"]
CHAT = {"messages": [{"role": "user", "content": "你好"}]}
OUTPUT: Any = {"text": True, "capture_output": True, "timeout": SECONDS}
Files = tuple[Path | None, Path | None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("server")


def joined(folder: Path, *paths: Path) -> Path:
    path = folder / "joined.pem"
    path.write_bytes(b"".join(part.read_bytes() for part in paths))
    return path


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def written(folder: Path, content: bytes) -> Path:
    (folder / "written").write_bytes(content)
    return folder / "written"


TAKEN: dict[str, Callable[[Path, Path, Authority, Path], Files]] = {
    "nothing": lambda _cert, _key, _authority, _folder: (None, None),
    "a pair": lambda cert, key, _authority, _folder: (cert, key),
    "one file": lambda cert, key, _authority, folder: (joined(folder, cert, key), None),
    "the key first": lambda cert, key, _authority, folder: (joined(folder, key, cert), None),
    "a chain": lambda cert, key, ca, folder: (joined(folder, cert, ca.cert), key),
}


@pytest.mark.parametrize("name", TAKEN)
def test_files_that_are_taken(
    authority: Authority, pair: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    cert, key = TAKEN[name](*pair, authority, tmp_path)
    context = load_tls(load_settings(tls_cert=cert, tls_key=key))
    assert (context is None) == (cert is None)


REFUSED: dict[str, tuple[Callable[[Path, Path, Authority, Path], Files], str]] = {
    "a key alone": (lambda _c, key, _a, _f: (None, key), "--tls-cert too"),
    "no certificate": (lambda _c, key, _a, folder: (folder / "no", key), "--tls-cert .*: No such"),
    "no key": (lambda cert, _k, _a, folder: (cert, folder / "no"), "--tls-key .*: No such file"),
    "a certificate alone": (lambda cert, _k, _a, _f: (cert, None), "no private key in PEM format"),
    "a folder": (lambda _c, key, _a, folder: (folder, key), "--tls-cert .*: Is a directory"),
    "a pipe": (lambda cert, _k, _a, folder: (cert, fifo(folder)), "--tls-key .*: it is a pipe"),
    "a device": (lambda _c, key, _a, _f: (Path("/dev/zero"), key), "--tls-cert .*: it is a device"),
    "text": (lambda _c, key, _a, f: (written(f, b"hi"), key), "is not a certificate in PEM format"),
    "an empty key": (lambda cert, _k, _a, f: (cert, written(f, b"")), "no private key in PEM"),
    "half a certificate": (
        lambda cert, key, _a, folder: (written(folder, cert.read_bytes()[:300]), key),
        "is not a certificate in PEM format",
    ),
    "the binary form": (
        lambda cert, key, _a, f: (written(f, ssl.PEM_cert_to_DER_cert(cert.read_text())), key),
        "is not a certificate in PEM format",
    ),
    "exchanged": (lambda cert, key, _a, _f: (key, cert), "is not a certificate in PEM format"),
    "another key": (
        lambda cert, _k, ca, _f: (cert, ca.issue("other")[1]),
        "is not the key of the first certificate",
    ),
    "the authority first": (
        lambda cert, key, ca, folder: (joined(folder, ca.cert, cert), key),
        "the server's own comes before those of authorities",
    ),
    "an encrypted key": (
        lambda cert, key, _a, folder: (cert, encrypt(folder / "encrypted", key)),
        "encrypted.*openssl pkey -in",
    ),
    "expired": (
        lambda _c, _k, ca, _f: ca.issue("expired", begin=NOW - 2 * DAY, end=NOW - DAY),
        "certificate has expired; renew it",
    ),
    "too early": (
        lambda _c, _k, ca, _f: ca.issue("early", begin=NOW + DAY, end=NOW + 2 * DAY),
        "not yet valid",
    ),
    "a client's": (
        lambda _c, _k, ca, _f: ca.issue("client", usage=ExtendedKeyUsageOID.CLIENT_AUTH),
        "unsuitable certificate purpose; clients would refuse it",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_refused(
    authority: Authority, pair: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    make, message = REFUSED[name]
    cert, key = make(*pair, authority, tmp_path)
    settings = load_settings(tls_cert=cert, tls_key=key)
    with pytest.raises(ConfigError, match=message):
        load_tls(settings)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_key_that_may_not_be_read(pair: tuple[Path, Path], tmp_path: Path) -> None:
    key = written(tmp_path, pair[1].read_bytes())
    key.chmod(stat.S_IWUSR)
    with pytest.raises(ConfigError, match=r"--tls-key .*: Permission denied"):
        load_tls(load_settings(tls_cert=pair[0], tls_key=key))


@pytest.fixture
def protocol(pair: tuple[Path, Path]) -> type[TlsHttpProtocol]:
    made = protocol_for(load_tls(load_settings(tls_cert=pair[0], tls_key=pair[1])))
    assert issubclass(made, TlsHttpProtocol)
    return made


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.cert)


@pytest.fixture(params=LOOPS)
def tls_url(
    app: FastAPI, protocol: type[TlsHttpProtocol], request: pytest.FixtureRequest
) -> Iterator[str]:
    with running(app, protocol, loop=request.param) as url:
        yield url.replace("http", "https")


def test_requests(tls_url: str, trusting: ssl.SSLContext, backend: FakeBackend) -> None:
    backend.reply_for = say("\n好")
    with httpx.Client(base_url=tls_url, verify=trusting, timeout=SECONDS) as client:
        for stream in (False, True, False):
            reply = client.post("/v1/chat/completions", json=CHAT | {"stream": stream})
            assert reply.status_code == 200
            assert "好" in reply.text
        large = client.post("/tokenize", json={"content": "长" * 60_000})
        assert len(large.json()["tokens"]) > 60_000
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{tls_url}/health", timeout=SECONDS)
    assert httpx.get(f"{tls_url}/health", verify=trusting, timeout=SECONDS).status_code == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "is_taken"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_versions(
    tls_url: str, trusting: ssl.SSLContext, version: ssl.TLSVersion, is_taken: bool
) -> None:
    trusting.set_ciphers("ALL:@SECLEVEL=0")  # or the client would not offer what is old
    trusting.minimum_version = trusting.maximum_version = version
    with connect(tls_url) as sock:
        if is_taken:
            with trusting.wrap_socket(sock, server_hostname="127.0.0.1") as encrypted:
                encrypted.sendall(HEALTH)
                assert statuses(encrypted.recv(2**16)) == [200]
            return
        with pytest.raises((ssl.SSLError, ConnectionError), match=r"(?i)alert|EOF|reset"):
            trusting.wrap_socket(sock, server_hostname="127.0.0.1")


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_pieces_of_the_handshake(tls_url: str, trusting: ssl.SSLContext, size: int) -> None:
    """However they arrive, and with the request right behind them."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(incoming, outgoing, server_hostname="localhost")
    request = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    received, is_sent = b"", False
    with connect(tls_url) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not received.endswith(b"}"):
            try:
                if not is_sent:
                    client.do_handshake()
                    client.write(request)
                    is_sent = True
                received += client.read()
            except ssl.SSLWantReadError:
                sent = outgoing.read()
                for start in range(0, len(sent), size):
                    sock.sendall(sent[start : start + size])
                incoming.write(sock.recv(2**16))
    assert statuses(received) == [200]


@pytest.mark.parametrize("sent", [HEALTH, b"\x16\x03\x01\x00\x05hello", b"\0" * 500_000])
def test_what_is_no_tls_is_closed(tls_url: str, trusting: ssl.SSLContext, sent: bytes) -> None:
    with connect(tls_url) as sock:
        with suppress(ConnectionError):
            sock.sendall(sent)
        assert b"HTTP" not in read_all(sock)
    assert httpx.get(f"{tls_url}/health", verify=trusting, timeout=SECONDS).status_code == 200


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_silent_handshakes_make_room(
    app: FastAPI,
    protocol: type[TlsHttpProtocol],
    trusting: ssl.SSLContext,
    loop: Any,
    sent: bytes,
) -> None:
    with running(app, protocol, loop=loop, max_connections=8) as url, ExitStack() as stack:
        for index in range(50):
            stack.enter_context(connect(url)).sendall(sent)
            if index % 10 == 9:
                reply = httpx.get(
                    f"{url.replace('http', 'https')}/health", verify=trusting, timeout=SECONDS
                )
                assert reply.status_code == 200


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_silent_handshakes_end(
    app: FastAPI, protocol: type[TlsHttpProtocol], loop: Any, sent: bytes
) -> None:
    limits = {"time_limits": dict.fromkeys(TIME_LIMITS, 0.2)}
    impatient: Any = type("Impatient", (protocol,), limits)
    with running(app, impatient, loop=loop) as url, connect(url) as sock:
        sock.sendall(sent)
        assert b"HTTP" not in read_all(sock)


def test_serve_and_chat(authority: Authority, pair: tuple[Path, Path]) -> None:
    """The commands; the terminal chat trusts the authority that the environment names."""
    server = start_server("--tls-cert", str(pair[0]), "--tls-key", str(pair[1]))
    try:
        assert server.url.startswith("https://127.0.0.1:")
        assert f"try      curl {server.base_url}/chat/completions" in server.banner
        command = [sys.executable, "-m", "glm3edge", "chat", "--base-url", server.base_url]
        environment = {k: v for k, v in os.environ.items() if k != "SSL_CERT_FILE"}
        trusted = environment | {"SSL_CERT_FILE": str(authority.cert)}
        wrong = environment | {"SSL_CERT_FILE": str(authority.folder / "none")}
        replies = [
            subprocess.run(
                command,
                input="你好\n",
                env=env,
                text=True,
                capture_output=True,
                check=False,
                timeout=SECONDS,
            )
            for env in (trusted, environment, wrong)
        ]
    finally:
        assert stop_server(server) == 0
    assert replies[0].returncode == 0
    assert "glm3edge" in replies[0].stdout
    assert "set SSL_CERT_FILE" in replies[1].stderr
    assert "none cannot be read" in replies[2].stderr
    assert all(reply.returncode for reply in replies[1:])


def test_the_start_ends_before_the_model_is_loaded(pair: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "glm3edge", "serve", "no-such-model", "--port", "0"]
    process = subprocess.run(
        [*command, "--tls-cert", str(pair[0])],
        text=True,
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    assert process.returncode == 2
    assert "give its file as --tls-key" in process.stderr
    assert "Traceback" not in process.stderr
