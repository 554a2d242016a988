"""What one request may cost a server: wrong and large bodies, and heads that do not end."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx
import psutil
import pytest

from tests.support.encoders import make_reranker
from tests.support.hostile_requests import encoded, requests
from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS, wait_for

pytestmark = pytest.mark.live

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "你好"}], "max_tokens": 1}
MANY = 500_000
MANY_ARRAYS = 16_000
MAX_GROWTH = 300 * 2**20
MAX_MEMORY = 2**30
MAX_GAP = 0.25
"""Seconds of processor time in which the server may leave a request alone: other processes' do not
count."""
JSON = {"Content-Type": "application/json"}


@contextmanager
def watched(server: Server, *, max_growth: int = MAX_GROWTH) -> Iterator[None]:
    """Asks for /health and looks at the memory, every 20 ms; a chat works afterwards."""
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    memory, statuses, gaps, ended = [before], [], [0.0], threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
            while not ended.wait(0.02):
                memory.append(process.memory_info().rss)
                start, cpu = time.monotonic(), sum(process.cpu_times()[:2])
                try:
                    statuses.append(client.get("/health").status_code)
                except httpx.HTTPError:
                    statuses.append(0)
                cpu = sum(process.cpu_times()[:2]) - cpu
                gaps.append(min(time.monotonic() - start, cpu))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert set(statuses) <= {200}
    assert max(memory) - before < max_growth
    assert max(gaps) < MAX_GAP
    assert httpx.get(f"{server.url}/health", timeout=SECONDS).json() == {
        "status": "ok",
        "running": 0,
        "waiting": 0,
    }
    assert httpx.post(f"{server.url}{CHAT}", json=HELLO, timeout=SECONDS).status_code == 200


LONG = "长" * 5 * 10**6
USER = {"role": "user", "content": "你好"}
BODIES: dict[str, tuple[str, Callable[[], object]]] = {
    "messages": (CHAT, lambda: {"messages": [1] * MANY}),
    "tools": (CHAT, lambda: HELLO | {"tools": [[]] * MANY_ARRAYS}),
    "functions": (CHAT, lambda: HELLO | {"functions": [None] * MANY}),
    "parts": (CHAT, lambda: {"messages": [{"role": "user", "content": [0] * MANY}]}),
    "biases": (CHAT, lambda: HELLO | {"logit_bias": dict.fromkeys(map(chr, range(55_000)), 1)}),
    "unknown keys": (CHAT, lambda: HELLO | dict.fromkeys(map(str, range(MANY)), 0)),
    "a type": (CHAT, lambda: {"messages": [{"role": "user", "content": [{"type": LONG}]}]}),
    "a string": (CHAT, lambda: {"messages": LONG}),
    "too many messages": (CHAT, lambda: {"messages": [USER] * 50_000}),
    "prompts": ("/v1/completions", lambda: {"prompt": [-1] * MANY}),
    "inputs": ("/v1/embeddings", lambda: {"input": [["你"] * 250] * 2000}),
    "the last input": ("/v1/embeddings", lambda: {"input": [5] * MANY + [-5]}),
    "ids of no token": ("/v1/embeddings", lambda: {"input": [[999_999] * 250] * 2048}),
    "numbers": ("/v1/embeddings", lambda: {"input": [10**4200] * 2000}),
    "documents": ("/v1/rerank", lambda: {"query": "你", "documents": [["你"]] * MANY_ARRAYS}),
    "items": ("/v1/responses", lambda: {"input": ["你"] * MANY}),
    "included": ("/v1/responses", lambda: {"input": "你好", "include": [[1.5]] * MANY_ARRAYS}),
    "blocks": ("/v1/messages", lambda: {"max_tokens": 1, "messages": [1.5] * MANY}),
    "a role": ("/v1/messages", lambda: {"max_tokens": 1, "messages": [{"role": LONG}]}),
    "counted": ("/v1/messages/count_tokens", lambda: {"messages": [False] * MANY}),
    "Ollama's messages": ("/api/chat", lambda: {"messages": [1] * MANY}),
    "Ollama's stops": ("/api/chat", lambda: {"options": {"stop": [1] * MANY}}),
    "a format": ("/api/chat", lambda: {"messages": [USER], "format": LONG}),
    "a context": ("/api/generate", lambda: {"prompt": "你好", "context": [10**6] * (MANY // 2)}),
    "texts": ("/api/embed", lambda: {"input": ["你"] * MANY}),
    "a text": ("/api/embeddings", lambda: {"prompt": [LONG]}),
    "a name": ("/api/show", lambda: {"model": [LONG]}),
    "tokens": ("/detokenize", lambda: {"tokens": [-1] * MANY}),
    "content": ("/tokenize", lambda: {"content": [{}] * MANY_ARRAYS}),
}


def test_every_route_is_tried(server: Server) -> None:
    paths = httpx.get(f"{server.url}/openapi.json", timeout=SECONDS).json()["paths"]
    posts = {path for path, methods in paths.items() if "post" in methods}
    assert posts == {path for path, _ in BODIES.values()}


@pytest.mark.parametrize("name", BODIES)
def test_wrong_bodies(server: Server, name: str) -> None:
    path, make = BODIES[name]
    content = json.dumps(make(), ensure_ascii=False, separators=(",", ":")).encode()
    with watched(server):
        reply = httpx.post(f"{server.url}{path}", content=content, headers=JSON, timeout=60)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert path.startswith("/api/") or error["type"] == "invalid_request_error"
    assert len(reply.content) < 10_000


@pytest.mark.parametrize("number", ["7" * 5000, "[" * 50 + "-" + "3" * 10**6, "0." + "3" * 10**7])
def test_long_numbers(server: Server, number: str) -> None:
    content = f'{{"messages": [], "seed": {number}}}'
    with watched(server):
        reply = httpx.post(f"{server.url}{CHAT}", content=content, headers=JSON, timeout=60)
    assert reply.status_code == 400, reply.text


HOSTILE = requests()


@dataclass(frozen=True)
class LimitedServer:
    """Server that can take 1 GiB more than it has when it is idle.

    Attributes:
        idle: what it has then, in bytes.
        lost: requests whose memory did not come back.
    """

    server: Server
    idle: int
    lost: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LimitedServer]:
    folder = tmp_path_factory.mktemp("limited")
    make_reranker(folder / "bge-reranker-tiny")
    with (folder / "log").open("w") as log:
        server = start_server(
            *("--threads", "1", "--rerank-model", str(folder / "bge-reranker-tiny")),
            GLM3EDGE_CACHE_DIR=str(folder / "cache"),
            stderr=log,
        )
        process = psutil.Process(server.process.pid)
        most = process.memory_info().vms + MAX_MEMORY
        process.rlimit(psutil.RLIMIT_AS, (most, most))
        yield LimitedServer(server, warmed_up(server))
        assert stop_server(server) == 0


def warmed_up(server: Server) -> int:
    """Bytes of a server with full caches, and a heap that grows no more."""
    largest = [name for name in HOSTILE if name.startswith(("items", "grammars"))]
    for name in HOSTILE:
        if not name.startswith("text"):
            assert send(server, name) < 500
    before = 0
    while (now := num_bytes(server)) > 1.005 * before:
        before = now
        for name in largest:
            assert send(server, name) < 500
    return now


def num_bytes(server: Server) -> int:
    """Memory of a server once it has answered an ordinary request."""
    assert httpx.post(f"{server.url}{CHAT}", json=HELLO, timeout=SECONDS).status_code == 200
    return int(psutil.Process(server.process.pid).memory_info().rss)


def send(server: Server, name: str) -> int:
    """Status of a hostile request's reply; 0 if the server has hung up."""
    path, make = HOSTILE[name]
    try:
        return httpx.post(
            f"{server.url}{path}", content=encoded(make()), headers=JSON, timeout=SECONDS
        ).status_code
    except (httpx.RemoteProtocolError, httpx.WriteError):
        return 0


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests(limited: LimitedServer, name: str) -> None:
    assert not limited.lost, "what follows cannot be told from it"
    with watched(limited.server, max_growth=MAX_MEMORY):
        assert send(limited.server, name) < 500
    limited.lost.append(name)
    wait_for(lambda: num_bytes(limited.server) < 1.1 * limited.idle)
    limited.lost.clear()


CHUNKED = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
HEADS = {
    "a header": (GET + b"X: ", b"a" * 1000),
    "spaces": (GET + b"X: ", b" " * 1000),
    "a name": (GET, b"a" * 1000),
    "headers": (GET, b"x: y\r\n" * 100),
    "a path": (b"GET /", b"%e4%bd%a0" * 100),
    "a query": (b"GET /health?", b"a=b&" * 100),
    "empty lines": (b"", b"\r\n" * 500),
    "the extension of a chunk": (CHUNKED + b"1;", b"a" * 1000),
    "a trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"a" * 1000),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"x: y\r\n" * 100),
}


def send_on(server: Server, start: bytes, piece: bytes, limit: int) -> tuple[int, bytes]:
    """Send ``piece`` until the server hangs up; how much was sent, and the reply."""
    port = int(server.url.rpartition(":")[2])
    num_sent, reply = 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as sock:
        with suppress(ConnectionError):
            sock.sendall(start)
            while num_sent < limit:
                sock.sendall(piece)
                num_sent += len(piece)
        with suppress(ConnectionError):
            while part := sock.recv(65536):
                reply += part
    return num_sent, reply


def check_431(reply: bytes) -> None:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"\r\nconnection: close" in head
    error = json.loads(body)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "request_too_large")
    assert "65536 bytes" in error["message"]
    assert "100 headers" in error["message"]


@pytest.mark.parametrize("name", HEADS)
def test_heads_that_do_not_end(server: Server, name: str) -> None:
    start, piece = HEADS[name]
    with watched(server):
        num_sent, reply = send_on(server, start, piece * (2**16 // len(piece)), 200 * 2**20)
    assert num_sent < 200 * 2**20
    check_431(reply)


@pytest.mark.parametrize(
    ("head", "is_taken"),
    [
        (GET + b"".join(b"x-%d: y\r\n" % i for i in range(98)), True),
        (GET + b"".join(b"x-%d: y\r\n" % i for i in range(99)), False),
        (GET + "X: 你好\r\n".encode() * 98, True),
        (GET + b"Cookie: " + b"a" * 60_000 + b"\r\n", True),
        (GET + b"Cookie: " + b"a" * 66_000 + b"\r\n", False),
        (GET + (b"x: " + b"a" * 1000 + b"\r\n") * 70, False),
        (GET.replace(b"health", b"health?q=" + b"a" * 60_000), True),
        (GET.replace(b"health", b"health?q=" + b"a" * 66_000), False),
    ],
)
@pytest.mark.parametrize("size", [2**20, 4000])
def test_heads_at_the_limit(server: Server, head: bytes, is_taken: bool, size: int) -> None:
    """However they are cut into pieces."""
    request = head + b"Connection: close\r\n\r\n"
    port = int(server.url.rpartition(":")[2])
    reply = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as sock:
        with suppress(ConnectionError):
            for start in range(0, len(request), size):
                sock.sendall(request[start : start + size])
        with suppress(ConnectionError):
            while part := sock.recv(65536):
                reply += part
    if is_taken:
        assert reply.startswith(b"HTTP/1.1 200 ")
    else:
        check_431(reply)


def test_a_long_head_after_good_requests(server: Server) -> None:
    """On the same connection, which has been counted anew for each."""
    port = int(server.url.rpartition(":")[2])
    content = json.dumps(HELLO).encode()
    post = (
        f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X: {'a' * 30_000}\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode() + content
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as sock:
        for _ in range(5):
            sock.sendall(post)
            reply = sock.recv(65536)
            assert reply.startswith(b"HTTP/1.1 200 ")
            length = re.search(rb"content-length: (\d+)", reply)
            assert length is not None
            missing = int(length[1]) - len(reply.partition(b"\r\n\r\n")[2])
            while missing > 0:
                missing -= len(sock.recv(missing))
        with suppress(ConnectionError):
            sock.sendall(post.replace(b"X: ", b"X: " + b"a" * 40_000))
        check_431(sock.recv(65536))


def test_small_chunks_are_taken(server: Server) -> None:
    """Their sizes and ends are longer than what they hold, and more than a head may have."""
    content = json.dumps(HELLO | {"user": "用" * 20_000}).encode()
    pieces = (content[i : i + 1] for i in range(len(content)))
    reply = httpx.post(f"{server.url}{CHAT}", content=pieces, headers=JSON, timeout=60)
    assert reply.status_code == 200
