"""Heads, chunks, trailers and pipelining, on real sockets."""

import threading
from contextlib import suppress

import pytest

from glm3edge.server.connection_limits import MAX_PIPELINED
from glm3edge.server.http_protocol import MAX_HEAD_BYTES
from tests.support.fakes import FakeBackend, say
from tests.support.raw_client import CHAT, HEALTH, connect, read_all, statuses

pytestmark = pytest.mark.slow

CLOSE = b"Connection: close\r\n"
CHUNKED = CHAT + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"messages": [{"role": "user", "content": "hi"}]}'
HEAD = HEALTH[:-2] + CLOSE
H2C = (
    CHAT
    + b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAE\r\n"
)


def chunks(*, extension: bytes = b"") -> bytes:
    """The body, in chunks of one byte."""
    return b"".join(b"1%s\r\n%c\r\n" % (extension, byte) for byte in BODY) + b"0\r\n"


@pytest.fixture(autouse=True)
def _reply(backend: FakeBackend) -> None:
    backend.reply_for = say("\nok")


REQUESTS: dict[str, tuple[bytes, int]] = {
    "plain": (HEAD + b"\r\n", 200),
    "a folded header": (HEAD + b"X: a\r\n b\r\n\r\n", 400),
    "folded without end": (HEAD + b"X: a\r\n" + b" b\r\n" * (MAX_HEAD_BYTES // 4) + b"\r\n", 400),
    "an absolute URL": (HEAD.replace(b"/health", b"http://localhost/health") + b"\r\n", 200),
    "a long fragment": (HEAD.replace(b"/health", b"/health#" + b"a" * 70_000) + b"\r\n", 431),
    "a long method": (b"G" * 70_000 + b" / HTTP/1.1\r\n\r\n", 400),
    "a long version": (b"GET / HTTP/1." + b"1" * 70_000 + b"\r\n\r\n", 400),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n", 404),
    "another protocol": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "chunks": (CHUNKED + chunks() + b"\r\n", 200),
    "extensions": (CHUNKED + chunks(extension=b";a=b") + b"\r\n", 200),
    "long extensions": (CHUNKED + chunks(extension=b";" + b"a" * 10_000) + b"\r\n", 431),
    "a trailer": (CHUNKED + chunks() + b"X: y\r\n\r\n", 200),
    "a trailer that is a header": (CHUNKED + chunks() + b"Host: elsewhere.example\r\n\r\n", 200),
    "an origin in a trailer": (CHUNKED + chunks() + b"Origin: http://x.example\r\n\r\n", 200),
    "an upgrade": (
        HEAD.replace(CLOSE, b"Connection: upgrade\r\nUpgrade: websocket\r\n") + b"\r\n",
        200,
    ),
    "an upgrade in a trailer": (
        CHUNKED + chunks() + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        200,
    ),
    "an upgrade of HTTP/1.0": (
        HEAD.replace(CLOSE, b"Connection: upgrade\r\nUpgrade: h2c\r\n").replace(b"1.1", b"1.0")
        + b"\r\n",
        200,
    ),
    "a tunnel": (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "Java's, with a length": (H2C + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY, 200),
    "Java's, in chunks": (H2C + b"Transfer-Encoding: chunked\r\n\r\n" + chunks() + b"\r\n", 200),
}


@pytest.mark.parametrize("size", [2**20, 700])
@pytest.mark.parametrize("name", REQUESTS)
def test_requests(url: str, name: str, size: int) -> None:
    """However they are cut into pieces."""
    request, status = REQUESTS[name]
    with connect(url) as sock:
        with suppress(ConnectionError):
            for start in range(0, len(request), size):
                sock.sendall(request[start : start + size])
        received = sock.recv(2**16)
    assert statuses(received) == [status]


def test_connections_go_on_after_an_upgrade(url: str) -> None:
    """Java's HTTP client offers HTTP/2 with its first request."""
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    with connect(url) as sock:
        for request in (HEALTH[:-2] + upgrade + b"\r\n", HEALTH, HEALTH):
            sock.sendall(request)
            assert statuses(sock.recv(2**16)) == [200]


@pytest.mark.parametrize("size", [2**20, 1])
def test_upgrades_keep_their_bodies(url: str, size: int) -> None:
    """The body used to be lost, or was read as the next request."""
    head = H2C.replace(b", close", b"")
    post = head + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks() + b"\r\n"
    requests = post + HEALTH + chunked + post + HEAD + b"\r\n"
    with connect(url) as sock:
        for start in range(0, len(requests), size):
            sock.sendall(requests[start : start + size])
        assert statuses(read_all(sock)) == [200] * 5


def test_pipelined_requests(url: str) -> None:
    post = CHAT + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    requests = [HEALTH, post] * (MAX_PIPELINED // 2 - 1)
    with connect(url) as sock:
        sock.sendall(b"".join([*requests, HEAD + b"\r\n"]))
        assert statuses(read_all(sock)) == [200] * (len(requests) + 1)


@pytest.mark.parametrize("head", [HEALTH, H2C.replace(b", close", b"") + b"\r\n"])
def test_too_many_pipelined_requests(url: str, head: bytes) -> None:
    with connect(url) as sock:
        sock.sendall(head * 2000)
        received = read_all(sock)
    assert statuses(received) == [400]
    assert b"ahead of their responses" in received


@pytest.mark.parametrize("bad", [b"no HTTP\r\n\r\n", HEALTH[:-2] + b"X: " + b"a" * 70_000])
@pytest.mark.parametrize("num_between", [0, 1, 3])
def test_a_bad_request_behind_a_stream(
    url: str, backend: FakeBackend, bad: bytes, num_between: int
) -> None:
    """It ends the connection, and is not answered in the middle of the stream."""
    backend.reply_for = say("\n" + "x" * 300)
    backend.gate = threading.Semaphore(5)
    body = BODY.replace(b"{", b'{"stream": true, ', 1)
    with connect(url) as sock:
        sock.sendall(CHAT + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        received = b""
        while b"data:" not in received:
            received += sock.recv(2**16)
        sock.sendall(HEALTH * num_between + bad)
        backend.gate.release(10_000)
        received += read_all(sock)
    stream, error, _ = received.partition(b"HTTP/1.1 4")
    assert statuses(stream)[0] == 200
    assert not error or b"data: [DONE]\n\n\r\n0\r\n\r\n" in stream
