"""Every response has an id, whoever made it: a route, a middleware, or uvicorn's protocol."""

import socket
from typing import Any

import anthropic
import openai
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.errors import DecodeError
from glm3edge.server.app import create_app
from glm3edge.serving.services import Services
from tests.support.fakes import FakeBackend, say
from tests.support.waiting import SECONDS

USER = [{"role": "user", "content": "hi"}]
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
MESSAGE = {"messages": USER, "max_tokens": 5}
FRONT = {"Origin": "https://front.example"}

REQUESTS: list[tuple[int, str, str, dict[str, Any]]] = [
    (200, "GET", "/", {}),
    (200, "GET", "/health", {}),
    (200, "HEAD", "/v1/models", {}),
    (200, "GET", "/docs", {}),
    (200, "GET", "/static/docs/swagger.html", {}),
    (200, "POST", CHAT, {"json": {"messages": USER}}),
    (200, "POST", CHAT, {"json": {"messages": USER, "stream": True}}),
    (200, "POST", MESSAGES, {"json": MESSAGE}),
    (200, "POST", MESSAGES, {"json": MESSAGE | {"stream": True}}),
    (200, "POST", f"{MESSAGES}/count_tokens", {"json": {"messages": USER}}),
    (200, "OPTIONS", CHAT, {"headers": FRONT | {"Access-Control-Request-Method": "POST"}}),
    (400, "POST", CHAT, {"json": {}}),
    (400, "POST", CHAT, {"content": "{"}),
    (400, "POST", MESSAGES, {"json": {}}),
    (400, "POST", MESSAGES, {"json": MESSAGE | {"messages": [{"role": "user"}]}}),
    (403, "GET", "/health", {"headers": {"Host": "evil.example"}}),
    (403, "POST", MESSAGES, {"headers": {"Origin": "https://evil.example"}}),
    (404, "GET", "/nothing", {}),
    (404, "GET", f"{MESSAGES}/nothing", {}),
    (405, "GET", MESSAGES, {}),
    (415, "POST", MESSAGES, {"headers": {"Content-Encoding": "gzip"}}),
    (413, "POST", MESSAGES, {"headers": {"Content-Length": "99999999"}}),
]


@pytest.fixture(autouse=True)
def _reply(backend: FakeBackend) -> None:
    backend.reply_for = say("\n ok")


@pytest.mark.parametrize(("status", "method", "path", "request_"), REQUESTS)
def test_every_response_has_an_id(
    client: TestClient, status: int, method: str, path: str, request_: dict[str, Any]
) -> None:
    ids = set()
    for _ in range(2):
        reply = client.request(method, path, **request_)
        assert reply.status_code == status, reply.text
        ids.add(reply.headers["x-request-id"])
        assert reply.headers["x-request-id"].startswith("req_")
        same = reply.headers["x-request-id"] if path.startswith(MESSAGES) else None
        assert reply.headers.get("request-id") == same
        if same is not None and status >= 400:
            assert reply.json()["request_id"] == same
    assert len(ids) == 2


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_unexpected_exceptions(app: FastAPI, path: str) -> None:
    """FastAPI answers those outside of all other middleware."""
    app.state.services = None
    with TestClient(app, raise_server_exceptions=False) as client:
        reply = client.post(path, json=MESSAGE)
    assert reply.status_code == 500
    assert reply.headers["x-request-id"].startswith("req_")
    assert reply.json().get("request_id") == reply.headers.get("request-id")


def test_a_missing_key(services: Services) -> None:
    settings = load_settings(api_key="secret", allowed_hosts=("testserver",))
    with TestClient(create_app(services, settings)) as client:
        reply = client.post(MESSAGES, json=MESSAGE)
    assert reply.status_code == 401
    assert reply.json()["request_id"] == reply.headers["request-id"]


def test_pages_may_read_it(client: TestClient) -> None:
    exposed = client.get("/v1/models", headers=FRONT).headers["access-control-expose-headers"]
    assert {"x-request-id", "request-id"} <= set(exposed.split(", "))


def test_what_is_no_http(url: str) -> None:
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), SECONDS) as sock:
        sock.sendall(b"NOTHING\r\n\r\n")
        assert b"\r\nx-request-id: req_" in sock.recv(1000)


def test_openais_client_reads_it(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0)
    made = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert str(made._request_id).startswith("req_")
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=[])
    assert str(caught.value.request_id).startswith("req_")


def test_anthropics_client_reads_it(url: str) -> None:
    client = anthropic.Anthropic(base_url=url, api_key="-", max_retries=0)
    messages: list[Any] = USER
    made = client.messages.create(model="m", max_tokens=5, messages=messages)
    assert str(made._request_id).startswith("req_")
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model="m", max_tokens=0, messages=messages)
    assert str(caught.value.request_id).startswith("req_")
    assert f"'request_id': '{caught.value.request_id}'" in str(caught.value)


def test_an_error_in_a_stream_of_anthropics(client: TestClient, backend: FakeBackend) -> None:
    def fail(_spans: object) -> None:
        if len(backend.batches) > 2:
            raise DecodeError(-3)

    backend.fail_decode = fail
    reply = client.post(MESSAGES, json=MESSAGE | {"stream": True})
    assert reply.status_code == 200
    assert f'"request_id":"{reply.headers["request-id"]}"' in reply.text
