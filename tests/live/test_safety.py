"""Keys, names, pages, sizes and logs of a real server, by real clients and bare sockets."""

import json
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS

pytestmark = pytest.mark.live

KEY = "key-of-the-live-test"
MARKER = "marker-text-of-a-prompt"
HELLO = [{"role": "user", "content": "你好"}]
MAX_BYTES = 300_000


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a key, from the environment as README advises."""
    cache = tmp_path_factory.mktemp("cache")
    server = start_server(
        *("--max-body", str(MAX_BYTES), "--ctx-size", "8192"),
        GLM3EDGE_API_KEY=KEY,
        GLM3EDGE_CACHE_DIR=str(cache),
    )
    yield server
    assert stop_server(server) == 0


@pytest.fixture
def client(guarded: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=guarded.base_url, api_key=KEY, max_retries=0)


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def exchange(server: Server, request: bytes) -> bytes:
    """What a server says to bare bytes."""
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=SECONDS) as sock:
        sock.sendall(request)
        reply = b""
        while part := sock.recv(65536):
            reply += part
    return reply


def nested(levels: int) -> dict[str, Any]:
    """A schema of objects in objects."""
    value: dict[str, Any] = {"type": "string"}
    while levels > 2:
        value = {"type": "object", "properties": {"a": value}, "required": ["a"]}
        levels -= 2
    return value


def test_the_right_key(client: openai.OpenAI) -> None:
    assert client.models.list().data
    reply = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "你好"}], max_tokens=4
    )
    assert reply.choices


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_key(guarded: Server, stream: bool) -> None:
    client = openai.OpenAI(base_url=guarded.base_url, api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "你好"}], stream=stream
        )
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
    assert caught.value.response.headers["www-authenticate"] == "Bearer"


def test_the_key_as_anthropic_sends_it(guarded: Server) -> None:
    url = f"{guarded.base_url}/models"
    assert httpx.get(url, headers={"x-api-key": KEY}, timeout=SECONDS).status_code == 200
    assert httpx.get(url, headers={"x-api-key": "wrong"}, timeout=SECONDS).status_code == 401
    assert httpx.get(url, timeout=SECONDS).status_code == 401
    assert httpx.get(f"{guarded.url}/health", timeout=SECONDS).status_code == 200


def test_the_banner_names_the_variable_and_not_the_key(guarded: Server) -> None:
    assert KEY not in guarded.banner
    command = guarded.banner.partition("try      ")[2].partition("stop")[0]
    command = command.replace("$GLM3EDGE_API_KEY", KEY)  # what a shell would do
    words = [word for word in shlex.split(command) if word.strip()]
    result = subprocess.run(words, capture_output=True, text=True, check=True, timeout=100)
    assert '"object":"chat.completion"' in result.stdout


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n", b"403", b"host_not_allowed"),
        (b"GET /health HTTP/1.0\r\n", b"403", b"host_not_allowed"),
        (b"GET /health HTTP/1.1\r\nHost: [::1]:80\r\n", b"200", b"ok"),
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n",
            b"403",
            b"origin_not_allowed",
        ),
        (
            b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n",
            b"401",
            b"invalid_api_key",
        ),
    ],
)
def test_bare_requests(guarded: Server, request_bytes: bytes, status: bytes, code: bytes) -> None:
    reply = exchange(guarded, request_bytes + b"Connection: close\r\n\r\n")
    assert reply.split()[1] == status
    assert code in reply


def test_a_body_that_is_too_large(client: openai.OpenAI) -> None:
    """It is read to its end, so that the client comes to reading the refusal."""
    for size in (MAX_BYTES, 40 * MAX_BYTES):
        with pytest.raises(openai.APIStatusError) as caught:
            client.embeddings.create(model="m", input="x" * size)
        assert caught.value.status_code == 413
        assert caught.value.code == "request_too_large"


@pytest.mark.parametrize("length", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_never_ends(guarded: Server, length: bytes) -> None:
    """The refusal comes before the end: nothing is kept of what is too much."""
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        + KEY.encode()
        + b"\r\nContent-Type: application/json\r\n"
        + length
        + b"\r\n\r\n"
    )
    piece = (
        b"x" * 50_000 if length.startswith(b"Content") else b"c350\r\n" + b"x" * 50_000 + b"\r\n"
    )
    with socket.create_connection(("127.0.0.1", port_of(guarded)), timeout=SECONDS) as sock:
        sock.sendall(head + piece * (MAX_BYTES // 50_000 + 1))
        assert sock.recv(65536).split()[1] == b"413"


@pytest.mark.parametrize(
    "content", [b"[" * MAX_BYTES, b'{"messages":' + b"[" * 200_000, b'{"a":' * 50_000]
)
def test_a_body_that_is_too_deep(guarded: Server, content: bytes) -> None:
    headers = {"x-api-key": KEY, "Content-Type": "application/json"}
    for path in ("/chat/completions", "/embeddings"):
        reply = httpx.post(
            guarded.base_url + path, content=content, headers=headers, timeout=SECONDS
        )
        assert reply.status_code == 400
        assert "100 levels" in reply.json()["error"]["message"]


@pytest.mark.parametrize(("levels", "status"), [(60, 200), (94, 200), (102, 400), (400, 400)])
@pytest.mark.parametrize("field", ["tools", "required tools", "response_format"])
def test_deep_schemas(guarded: Server, field: str, levels: int, status: int) -> None:
    """With the model's own grammars, whose library recurses too."""
    schema = nested(levels)
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    wanted = {"type": "json_schema", "json_schema": {"name": "j", "schema": schema}}
    options: dict[str, Any] = {
        "tools": {"tools": [tool]},
        "required tools": {"tools": [tool], "tool_choice": "required"},
        "response_format": {"response_format": wanted},
    }
    body = {"messages": HELLO, "max_tokens": 4} | options[field]
    reply = httpx.post(
        f"{guarded.base_url}/chat/completions", json=body, headers={"x-api-key": KEY}, timeout=60
    )
    assert reply.status_code == status, reply.text
    if status == 400:
        assert "100 levels" in reply.json()["error"]["message"]
    assert httpx.get(f"{guarded.url}/health", timeout=SECONDS).json()["status"] == "ok"


def ask_everything(server: Server) -> list[str]:
    """Requests that succeed and fail in all ways, each with the marker; returns the replies."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    message = {"role": "user", "content": f"你好 {MARKER}"}
    chat = {"messages": [message], "max_tokens": 24, "temperature": 0}
    tool = {"type": "function", "function": {"name": MARKER, "parameters": {"type": MARKER}}}
    bad_schema = {"name": "j", "schema": {"type": "object", "x-guidance": MARKER}}
    bodies: list[object] = [
        chat,
        chat | {"stream": True},
        chat | {"tools": [tool]},
        chat | {"tools": [tool], "tool_choice": "required"},
        chat | {"response_format": {"type": "json_schema", "json_schema": bad_schema}},
        chat | {"messages": [{"role": MARKER, "content": MARKER}]},
        chat | {"messages": [{"role": "user", "content": {"a": MARKER}}]},
        chat | {"messages": [message | {"content": MARKER * 3000}]},
        chat | {"tool_choice": {"type": "function", "function": {"name": MARKER}}},
        chat | {"stop": MARKER, "user": MARKER, "temperature": MARKER},
        [MARKER],
    ]
    with httpx.Client(base_url=server.base_url, headers=headers, timeout=60) as client:
        replies = [client.post("/chat/completions", json=body).text for body in bodies]
        client.post("/chat/completions", content=f'{{"messages": "{MARKER}'.encode())
        client.post("/chat/completions", content=b"\xff" + MARKER.encode())
        client.post("/embeddings", json={"input": MARKER})
        client.post("/embeddings", json={"input": {"a": MARKER}})
        client.post(f"/{MARKER}", json=chat)
        client.get(f"/models/{MARKER}")
        client.post("/chat/completions", json=chat, headers={"Authorization": f"Bearer {MARKER}"})
        client.post("/chat/completions", json=chat, headers={"Host": f"{MARKER}.example"})
        client.post("/chat/completions", json=chat, headers={"Origin": f"https://{MARKER}"})
        with client.stream("POST", "/chat/completions", json=chat | {"stream": True}) as stream:
            next(stream.iter_lines())  # and leave
    exchange(server, f"{MARKER} / HTTP/9\r\n\r\n".encode())
    return replies


@pytest.mark.parametrize("level", [None, "debug"])
def test_logs(level: str | None, tmp_path: Path) -> None:
    """By default nothing that was asked or answered; the key on no level."""
    arguments = [] if level is None else ["--log-level", level]
    with (tmp_path / "log").open("w+") as log:
        server = start_server(
            *arguments, stderr=log, GLM3EDGE_API_KEY=KEY, GLM3EDGE_CACHE_DIR=str(tmp_path / "cache")
        )
        replies = ask_everything(server)
        server.process.terminate()
        stdout = server.process.communicate(timeout=SECONDS)[0]
        log.seek(0)
        said = server.banner + stdout + log.read()
    assert server.process.returncode == 0
    content = json.loads(replies[0])["choices"][0]["message"]["content"]
    assert len(content) >= 4
    assert KEY not in said
    if level is None:
        assert MARKER not in said
        assert content not in said
        assert "Traceback" not in said
    else:
        assert "DEBUG" in said


def test_clients_that_send_nothing_do_not_stop_a_shutdown(tiny_gguf: Path) -> None:
    server = start_server(str(tiny_gguf))
    sockets = [socket.create_connection(("127.0.0.1", port_of(server))) for _ in range(4)]
    sockets[1].sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: loc")
    sockets[2].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200" in sockets[2].recv(100)  # and kept alive
    start = time.monotonic()
    server.process.terminate()
    stdout, stderr = server.process.communicate(timeout=SECONDS)
    assert time.monotonic() - start < 5
    assert (server.process.returncode, stderr) == (0, "")
    assert stdout.endswith("stopped\n")
    for sock in sockets:
        sock.close()


def test_a_body_that_stops_on_its_way_does_not_stop_a_shutdown(tiny_gguf: Path) -> None:
    """It may take as long as open connections may, and no longer."""
    server = start_server(str(tiny_gguf))
    head = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", port_of(server))) as sock:
        sock.sendall(head)
        time.sleep(0.2)
        server.process.terminate()
        stdout, stderr = server.process.communicate(timeout=SECONDS)
    assert server.process.returncode == 0, stderr
    assert stdout.endswith("stopped\n")


def test_all_addresses_with_a_key(tiny_gguf: Path) -> None:
    """Any name will do, as the key protects."""
    server = start_server(str(tiny_gguf), "--host", "0.0.0.0", GLM3EDGE_API_KEY=KEY)
    url = f"http://127.0.0.1:{port_of(server)}/v1/models"
    headers = {"Host": "box.example", "Authorization": f"Bearer {KEY}"}
    assert httpx.get(url, headers=headers, timeout=SECONDS).status_code == 200
    assert httpx.get(url, headers={"Host": "box.example"}, timeout=SECONDS).status_code == 401
    assert stop_server(server) == 0


def test_the_banner_of_all_addresses_has_one_that_a_browser_opens(tiny_gguf: Path) -> None:
    """It showed http://0.0.0.0."""
    server = start_server(str(tiny_gguf), "--host", "0.0.0.0", GLM3EDGE_API_KEY=KEY)
    shown = re.findall(r"(http://[^/\s]+)/ ", server.banner)
    assert shown[0] == f"http://localhost:{port_of(server)}"
    for url in shown:
        assert "0.0.0.0" not in url
        assert httpx.get(f"{url}/health", timeout=SECONDS).status_code == 200
    assert stop_server(server) == 0


def test_all_addresses_without_one(tiny_gguf: Path) -> None:
    """Names have to be known then, since pages of others could make up their own."""
    server = start_server(
        str(tiny_gguf), "--host", "0.0.0.0", "--no-auth", "--allowed-hosts", "box.example"
    )
    assert "anyone who can reach this address can use it" in server.banner
    url = f"http://127.0.0.1:{port_of(server)}/v1/models"
    assert httpx.get(url, headers={"Host": "box.example"}, timeout=SECONDS).status_code == 200
    assert httpx.get(url, headers={"Host": "evil.example"}, timeout=SECONDS).status_code == 403
    assert stop_server(server) == 0
