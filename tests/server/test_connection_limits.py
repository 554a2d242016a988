"""Clients that stop sending or reading, and too many connections."""

import json
import select
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, ClassVar

import httpx
import pytest
from fastapi import FastAPI

from glm3edge.server.connection_limits import MAX_PIPELINED, TIME_LIMITS, Phase
from glm3edge.server.http_protocol import LimitedHttpProtocol
from glm3edge.serving.services import Services
from tests.support.fakes import FakeBackend, say
from tests.support.raw_client import CHAT, HEALTH, connect, read_all, read_response, statuses
from tests.support.scripted_server import running
from tests.support.waiting import SECONDS, wait_for

pytestmark = pytest.mark.slow

LOOPS = ["auto", "asyncio"]
BODY = json.dumps({"messages": [{"role": "user", "content": "你好"}]}).encode()


class Impatient(LimitedHttpProtocol):
    """Waits for a fifth of a second."""

    time_limits: ClassVar[Mapping[Phase, float]] = dict.fromkeys(TIME_LIMITS, 0.2)
    lost: ClassVar[list[str]] = []

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.append(str(exc))


class Steady(Impatient):
    """Waits for the next piece of a body for longer than for a request."""

    time_limits: ClassVar[Mapping[Phase, float]] = {**Impatient.time_limits, Phase.BODY: 3}


@pytest.fixture(autouse=True)
def _reply(backend: FakeBackend) -> None:
    backend.reply_for = say("\n好")
    Impatient.lost.clear()


@pytest.fixture(params=LOOPS)
def impatient(app: FastAPI, request: pytest.FixtureRequest) -> Iterator[str]:
    with running(app, Impatient, loop=request.param) as url:
        yield url


REFUSED = CHAT.replace(b"localhost", b"elsewhere.example") + b"Content-Length: 10\r\n\r\n"
SILENT: dict[str, tuple[bytes, list[int]]] = {
    "nothing": (b"", []),
    "an empty line": (b"\r\n", []),
    "a method": (b"GE", [408]),
    "a request line": (b"GET /health HTTP/1.1\r\n", [408]),
    "a header": (HEALTH[:-4], [408]),
    "headers": (HEALTH[:-2], [408]),
    "a head": (CHAT + b"Content-Length: 10\r\n\r\n", [408]),
    "a head of a GET": (HEALTH[:-2] + b"Content-Length: 10\r\n\r\n", [408]),
    "half a body": (CHAT + b"Content-Length: 10\r\n\r\n{}", [408]),
    "a chunk": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", [408]),
    "half a chunk": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{", [408]),
    "a size": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n9", [408]),
    "a trailer": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n", [408]),
    "continue": (CHAT + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", [100, 408]),
    "a request": (HEALTH, [200]),
    "a request and more": (HEALTH + b"GET /", [200, 408]),
    "two requests and more": (HEALTH * 2 + CHAT, [200, 200, 408]),
    "a refused head": (REFUSED, [403]),
    "a refused head and half a body": (REFUSED + b"{}", [403]),
    "old HTTP": (b"POST /tokenize HTTP/1.0\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", [408]),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_client_that_falls_silent(impatient: str, name: str) -> None:
    sent, expected = SILENT[name]
    with connect(impatient) as sock:
        sock.sendall(sent)
        received = read_all(sock)
    assert statuses(received) == expected
    if expected[-1:] == [408]:
        error = json.loads(received.rpartition(b"\r\n\r\n")[2])["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "request_timeout")
        assert "0.2 seconds" in error["message"]


TRICKLED: dict[str, tuple[bytes, bytes, list[int]]] = {
    "empty lines": (b"", b"\r\n", []),
    "a path": (b"GET /", b"a", [408]),
    "a header": (HEALTH[:-2] + b"X: ", b"a", [408]),
    "headers": (HEALTH[:-2], b"x:y\r\n", [408]),
    "a second head": (HEALTH + HEALTH[:-2] + b"X: ", b"a", [200, 408]),
    "an extension": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n2;", b"a", [408]),
    "trailers": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"x:y\r\n", [408]),
    "a body that was refused": (REFUSED.replace(b"10", b"100000"), b" ", [403]),
}


@pytest.mark.parametrize("name", TRICKLED)
def test_a_client_that_never_ends(impatient: str, name: str) -> None:
    """What is no body has a limit in all, however it trickles in."""
    start, piece, expected = TRICKLED[name]
    received = b""
    with connect(impatient) as sock:
        sock.sendall(start)
        while True:
            if select.select([sock], [], [], 0.02)[0]:
                try:
                    part = sock.recv(2**16)
                except ConnectionError:
                    break
                received += part
                if not part:
                    break
            try:
                sock.sendall(piece)
            except ConnectionError:
                received += read_all(sock)
                break
    assert statuses(received) == expected


def outlast(url: str) -> None:
    """Let a time limit pass: that of another connection."""
    with connect(url) as sock:
        assert read_all(sock) == b""


@pytest.mark.parametrize("loop", LOOPS)
def test_a_slow_upload_passes(app: FastAPI, loop: Any) -> None:
    """However long it takes altogether, here longer than the limit for a piece."""
    pieces = [BODY[i : i + 3] for i in range(0, len(BODY), 3)]
    with running(app, Steady, loop=loop) as url, connect(url) as sock:
        sock.sendall(CHAT + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY))
        for piece in pieces:
            outlast(url)
            sock.sendall(piece)
        assert statuses(read_all(sock)) == [200]
    assert len(pieces) * Steady.time_limits[Phase.IDLE] > Steady.time_limits[Phase.BODY]


@pytest.mark.parametrize("stream", [False, True])
def test_a_long_generation_is_not_cut(impatient: str, backend: FakeBackend, stream: bool) -> None:
    backend.gate = threading.Semaphore(0)
    body = json.dumps(json.loads(BODY) | {"stream": stream}).encode()
    with connect(impatient) as sock:
        sock.sendall(CHAT + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        for _ in range(3):
            outlast(impatient)
        backend.gate.release(10_000)
        received = read_all(sock)
    assert statuses(received) == [200]
    assert "好".encode() in received


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_a_client_that_reads_nothing(impatient: str, close: bytes) -> None:
    get = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n"
    num = MAX_PIPELINED if not close else 1
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        sock.connect(("127.0.0.1", int(impatient.rpartition(":")[2])))
        sock.sendall((get + b"\r\n") * (num - 1) + get + close + b"\r\n")
        wait_for(lambda: Impatient.lost)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "sent", [b"", b"GET /he", CHAT + b"Content-Length: 10\r\n\r\n{", HEALTH, HEALTH + b"GET /"]
)
def test_idle_connections_make_room(app: FastAPI, loop: Any, sent: bytes) -> None:
    with running(app, loop=loop, max_connections=8) as url, ExitStack() as stack:
        for index in range(50):
            stack.enter_context(connect(url)).sendall(sent)
            if index % 10 == 9:
                assert httpx.get(f"{url}/health", timeout=SECONDS).status_code == 200


def test_the_most_silent_is_closed(app: FastAPI) -> None:
    with running(app, max_connections=3) as url, ExitStack() as stack:
        first, second, third = (stack.enter_context(connect(url)) for _ in range(3))
        for sock in (second, third, first):
            sock.sendall(HEALTH)
            assert read_response(sock) == 200
        stack.enter_context(connect(url))
        assert read_all(second) == b""
        for sock in (third, first):
            sock.sendall(HEALTH)
            assert read_response(sock) == 200


@pytest.mark.parametrize("loop", LOOPS)
def test_too_many_requests_at_once(
    app: FastAPI, services: Services, backend: FakeBackend, loop: Any
) -> None:
    engine = services.engine
    backend.gate = threading.Semaphore(0)
    post = CHAT + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    with running(app, loop=loop, max_connections=2) as url, ExitStack() as stack:
        socks = [stack.enter_context(connect(url)) for _ in range(2)]
        for index, sock in enumerate(socks, start=1):
            sock.sendall(post)
            wait_for(lambda: engine.num_running + engine.num_waiting == index)  # noqa: B023
        for request in (HEALTH, post, HEALTH):
            with connect(url) as sock:
                sock.sendall(request)
                received = read_all(sock)
            assert statuses(received) == [503]
            error = json.loads(received.rpartition(b"\r\n\r\n")[2])["error"]
            assert (error["type"], error["code"]) == ("server_error", "too_many_connections")
        backend.gate.release(10_000)
        assert [statuses(read_all(sock)) for sock in socks] == [[200], [200]]
        assert httpx.get(f"{url}/health", timeout=SECONDS).status_code == 200
