"""HTTP/1.0 clients (``curl -0``, ``ab``, old proxies): no chunks, and the connection is closed."""

import json
import shutil
import socket
import subprocess
from typing import Any

import pytest

from tests.support.fakes import FakeBackend, say
from tests.support.waiting import SECONDS

CHAT = {"messages": [{"role": "user", "content": "你好"}]}
MESSAGES = CHAT | {"max_tokens": 5}
POSTS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", CHAT | {"stream": True}),
    ("/v1/completions", {"prompt": "hi", "stream": True}),
    ("/v1/messages", MESSAGES | {"stream": True}),
    ("/v1/responses", {"input": "hi", "stream": True}),
    ("/v1/chat/completions", {}),
    ("/v1/embeddings", {"input": "x" * 500}),
]


@pytest.fixture(autouse=True)
def _reply(backend: FakeBackend) -> None:
    backend.reply_for = say("\n 好")


def exchange(url: str, request: bytes) -> tuple[dict[str, list[str]], bytes]:
    """Headers and body of the response, which ends with the connection."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), SECONDS) as sock:
        sock.sendall(request)
        received = b"".join(iter(lambda: sock.recv(2**16), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    headers: dict[str, list[str]] = {}
    for line in head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        headers.setdefault(name.lower(), []).append(value)
    return headers, body


def post(path: str, body: dict[str, Any], version: str, *more: str) -> bytes:
    content = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/{version}",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


@pytest.mark.parametrize("more", [(), ("Connection: keep-alive",), ("Connection: close",)])
@pytest.mark.parametrize(("path", "body"), POSTS)
def test_no_chunks(url: str, path: str, body: dict[str, Any], more: tuple[str, ...]) -> None:
    headers, received = exchange(url, post(path, body, "1.0", *more))
    assert "transfer-encoding" not in headers
    assert headers["connection"] == ["close"]
    if body.get("stream"):
        assert "content-length" not in headers
        events = [line for line in received.decode().split("\n") if line]
        assert all(line.startswith(("data: ", "event: ")) for line in events)
        ends = ("[DONE]", "message_stop", "response.completed")
        assert any(end in received.decode() for end in ends)
    else:
        assert headers["content-length"] == [str(len(received))]
        json.loads(received)


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/docs", "/openapi.json", "/none"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_routes(url: str, method: str, path: str) -> None:
    headers, received = exchange(
        url, f"{method} {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
    )
    assert "transfer-encoding" not in headers
    assert headers["connection"] == ["close"]
    assert (received == b"") == (method == "HEAD")
    assert method == "HEAD" or headers["content-length"] == [str(len(received))]


def test_100_continue_is_not_sent(url: str) -> None:
    request = post("/v1/chat/completions", CHAT, "1.0", "Expect: 100-continue")
    headers, _ = exchange(url, request)
    assert headers["content-type"] == ["application/json"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_1_1_client_that_closes(url: str, stream: bool) -> None:
    body = CHAT | {"stream": stream}
    headers, received = exchange(
        url, post("/v1/chat/completions", body, "1.1", "Connection: close")
    )
    assert headers["connection"] == ["close"]
    assert headers.get("transfer-encoding") == (["chunked"] if stream else None)
    assert received


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("stream", [False, True])
def test_curl(url: str, stream: bool) -> None:
    body = json.dumps(CHAT | {"stream": stream})
    command = ["curl", "-sS", "-0", f"{url}/v1/chat/completions", "-d", body]
    command += ["-H", "Content-Type: application/json"]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    assert "好" in out.stdout
    assert not stream or out.stdout.endswith("data: [DONE]\n\n")
