"""Clients that leave a real server in all ways: its log has nothing to say of that."""

import json
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.rpc_workers import Worker, new_worker
from tests.support.servers import Server, start_server, stop_server

pytestmark = pytest.mark.live

SECONDS = 60
STORY = [{"role": "user", "content": "讲一个很长的故事"}]
LONG = [{"role": "user", "content": "很久很久以前 " * 100}]
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": STORY, "max_tokens": 700, "stream": True}),
    ("/v1/chat/completions", {"messages": STORY, "max_tokens": 700, "n": 3}),
    ("/v1/chat/completions", {"messages": LONG, "max_tokens": 5, "stream": True}),
    ("/v1/completions", {"prompt": ["从前", "Once"], "max_tokens": 700, "stream": True}),
    ("/v1/completions", {"prompt": "从前", "max_tokens": 700}),
    ("/v1/messages", {"messages": STORY, "max_tokens": 700, "stream": True}),
    ("/v1/messages", {"messages": LONG, "max_tokens": 700}),
    ("/v1/messages/count_tokens", {"messages": LONG * 30}),
    ("/v1/responses", {"input": "讲一个故事", "max_output_tokens": 700, "stream": True}),
    ("/v1/responses", {"input": "讲一个故事", "max_output_tokens": 700}),
    ("/api/chat", {"messages": STORY, "options": {"num_predict": 700}}),
    ("/api/chat", {"messages": LONG, "stream": False}),
    ("/api/generate", {"prompt": "讲一个故事", "options": {"num_predict": 700}}),
    ("/api/generate", {"prompt": "从前", "raw": True, "stream": False}),
    ("/v1/embeddings", {"input": ["很久很久以前 " * 100] * 20}),
    ("/tokenize", {"content": "很久很久以前 " * 5000}),
    ("/detokenize", {"tokens": [5] * 30_000}),
]


@dataclass(frozen=True)
class Logged:
    """A server whose log goes to a file."""

    server: Server
    log: Path
    worker: Worker | None

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(SECONDS)
        sock.connect(("127.0.0.1", int(self.server.url.rpartition(":")[2])))
        return sock

    def wait_until_idle(self) -> None:
        deadline = time.monotonic() + SECONDS
        idle = {"status": "ok", "running": 0, "waiting": 0}
        while httpx.get(f"{self.server.url}/health", timeout=SECONDS).json() != idle:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture(scope="module", params=["alone", "with a worker"])
def logged(
    request: pytest.FixtureRequest, tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Logged]:
    """The engine in the server's process, and in one of its own."""
    folder = tmp_path_factory.mktemp("leaving")
    worker = None if request.param == "alone" else new_worker()
    options = [] if worker is None else ["--rpc", worker.address, "--gpu-layers", "3"]
    with (folder / "log").open("a") as log:
        server = start_server(
            *(str(tiny_gguf), "--threads", "1", "--parallel", "2", "--queue", "4", *options),
            stderr=log,
            GLM3EDGE_CACHE_DIR=str(folder / "cache"),
        )
    yield Logged(server, folder / "log", worker)
    assert stop_server(server) == 0
    if worker is not None:
        worker.kill()


def request_of(path: str, body: dict[str, Any], version: str = "1.1") -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/{version}\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def close(sock: socket.socket) -> None:
    sock.close()


def reset(sock: socket.socket) -> None:
    """Close with a reset, as a client that is killed or crashes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def half_close(sock: socket.socket) -> None:
    """Say that nothing more will come, and go a little later."""
    sock.shutdown(socket.SHUT_WR)
    time.sleep(0.02)
    sock.close()


Leave = Callable[[socket.socket], None]


def at_once(logged: Logged, path: str, body: dict[str, Any], leave: Leave) -> None:
    sock = logged.connect()
    sock.sendall(request_of(path, body))
    leave(sock)


def later(logged: Logged, path: str, body: dict[str, Any], leave: Leave) -> None:
    for seconds in (0.01, 0.1):
        sock = logged.connect()
        sock.sendall(request_of(path, body))
        time.sleep(seconds)
        leave(sock)


def after_the_first_bytes(logged: Logged, path: str, body: dict[str, Any], leave: Leave) -> None:
    if body.get("stream"):
        sock = logged.connect()
        sock.sendall(request_of(path, body))
        assert sock.recv(1)
        leave(sock)


def during_the_upload(logged: Logged, path: str, body: dict[str, Any], leave: Leave) -> None:
    request = request_of(path, body)
    for length in (10, 60, len(request) - 1):
        sock = logged.connect()
        sock.sendall(request[:length])
        leave(sock)
    sock = logged.connect()
    head = request.partition(b"Content-Length")[0]
    sock.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{")
    leave(sock)


def as_http_1_0(logged: Logged, path: str, body: dict[str, Any], leave: Leave) -> None:
    sock = logged.connect()
    sock.sendall(request_of(path, body, "1.0"))
    time.sleep(0.02)
    leave(sock)


def with_requests_behind_it(logged: Logged, path: str, body: dict[str, Any], leave: Leave) -> None:
    for seconds in (0, 0.05):
        sock = logged.connect()
        sock.sendall(request_of(path, body) * 4)
        time.sleep(seconds)
        leave(sock)


def while_queued(logged: Logged, path: str, body: dict[str, Any], leave: Leave) -> None:
    socks = [logged.connect() for _ in range(8)]
    for sock in socks:
        sock.sendall(request_of(path, body))
    time.sleep(0.05)
    for sock in socks:
        leave(sock)


WAYS = [
    at_once,
    later,
    after_the_first_bytes,
    during_the_upload,
    as_http_1_0,
    with_requests_behind_it,
    while_queued,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("leave", [close, reset, half_close])
def test_nothing_is_logged(
    logged: Logged, way: Callable[[Logged, str, dict[str, Any], Leave], None], leave: Leave
) -> None:
    for path, body in BODIES:
        way(logged, path, body, leave)
    logged.wait_until_idle()
    assert logged.log.read_text() == ""


def test_connections_without_a_request(logged: Logged) -> None:
    for leave in (close, reset, half_close):
        for _ in range(5):
            leave(logged.connect())
            sock = logged.connect()
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert sock.recv(1)
            leave(sock)
    logged.wait_until_idle()
    assert logged.log.read_text() == ""


def test_a_reader_that_is_slow_and_leaves(logged: Logged) -> None:
    """With more of the reply to come than the system keeps."""
    for leave in (close, reset):
        sock = logged.connect(receive_buffer=4096)
        sock.sendall(request_of("/detokenize", {"tokens": [70] * 10**6}))
        assert sock.recv(100)
        leave(sock)
    logged.wait_until_idle()
    assert logged.log.read_text() == ""


def test_a_client_that_is_killed(logged: Logged) -> None:
    """The official client, in a stream."""
    code = (
        "import openai, sys\n"
        "client = openai.OpenAI(base_url=sys.argv[1], api_key='-')\n"
        "stream = client.chat.completions.create(model='m', stream=True, max_tokens=700,\n"
        "    messages=[{'role': 'user', 'content': '你好'}])\n"
        "for chunk in stream: print(chunk, flush=True)\n"
    )
    for _ in range(3):
        client = subprocess.Popen(
            [sys.executable, "-c", code, logged.server.base_url], stdout=subprocess.PIPE
        )
        assert client.stdout is not None
        assert client.stdout.readline()
        client.kill()
        client.communicate()
    logged.wait_until_idle()
    assert logged.log.read_text() == ""


def test_a_failure_is_logged(logged: Logged) -> None:
    """A worker that goes away while a reply is written."""
    if logged.worker is None:
        pytest.skip("this server has no worker to lose")
    path, body = BODIES[0]
    with httpx.stream("POST", logged.server.url + path, json=body, timeout=SECONDS) as stream:
        lines = stream.iter_lines()
        next(lines)
        logged.worker.kill()
        assert "engine_lost" in "".join(lines)
    assert re.search(
        r" ERROR glm3edge\.engine\.recovery: the engine is lost: ", logged.log.read_text()
    )
