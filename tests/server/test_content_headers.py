"""Content-Type and Content-Encoding of a body: what is wrong with them is told by name."""

import gzip
import json
import zlib

import pytest
from starlette.testclient import TestClient

from tests.support.fakes import FakeBackend, say

BODY = json.dumps({"messages": [{"role": "user", "content": "你好"}], "max_tokens": 5}).encode()
CHAT = "/v1/chat/completions"
PATHS = [CHAT, "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/tokenize"]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _reply(backend: FakeBackend) -> None:
    backend.reply_for = say("\n 好")


@pytest.mark.parametrize(
    "given",
    [
        None,
        "application/x-www-form-urlencoded",  # curl -d
        "text/plain",
        "text/plain;charset=UTF-8",  # fetch() with a string
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "json",
        "",
    ],
)
@pytest.mark.parametrize(
    "path",
    [CHAT, "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/tokenize"],
)
def test_a_body_that_is_not_declared_as_json(
    client: TestClient, path: str, given: str | None
) -> None:
    headers = {} if given is None else {"Content-Type": given}
    reply = client.post(path, content=BODY, headers=headers)
    assert reply.status_code == 400
    message = reply.json()["error"]["message"]
    assert "the header Content-Type: application/json" in message
    assert message.endswith(f"; it has {'none' if given is None else given}")


@pytest.mark.parametrize(
    "given",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/vnd.api+json",
    ],
)
def test_json_by_its_other_names(client: TestClient, given: str) -> None:
    reply = client.post(CHAT, content=BODY, headers={"Content-Type": given})
    assert reply.status_code == 200


@pytest.mark.parametrize("headers", [{}, JSON])
def test_no_body(client: TestClient, headers: dict[str, str]) -> None:
    reply = client.post(CHAT, headers=headers)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == "body: Field required"


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("x-gzip", gzip.compress(BODY, mtime=0)),
        ("GZIP", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("br", b"\x0b"),
        ("zstd", b"\x28"),
        ("identity, gzip", gzip.compress(BODY, mtime=0)),
        ("gzip", BODY),
        ("foo", BODY),
        ("utf-8", BODY),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_body_with_a_coding(client: TestClient, path: str, coding: str, content: bytes) -> None:
    reply = client.post(path, content=content, headers=JSON | {"Content-Encoding": coding})
    assert reply.status_code == 415
    assert reply.headers["accept-encoding"] == "identity"
    assert f"Content-Encoding: {coding}" in reply.json()["error"]["message"]


def test_the_code_of_a_coding(client: TestClient) -> None:
    reply = client.post(CHAT, content=BODY, headers=JSON | {"Content-Encoding": "gzip"})
    error = reply.json()["error"]
    assert (error["type"], error["code"]) == (
        "invalid_request_error",
        "unsupported_content_encoding",
    )


@pytest.mark.parametrize("coding", ["identity", "Identity", "", "identity, identity"])
def test_no_coding(client: TestClient, coding: str) -> None:
    reply = client.post(CHAT, content=BODY, headers=JSON | {"Content-Encoding": coding})
    assert reply.status_code == 200
