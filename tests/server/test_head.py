"""HEAD: wherever there is GET, with its headers and without its body."""

import http.client
from contextlib import closing

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.support.waiting import SECONDS

GETS = [
    *("/", "/health", "/metrics", "/docs", "/redoc", "/openapi.json", "/static/docs/swagger.html"),
    *("/v1/models", "/v1/models/fake", "/v1/models/none", "/models", "/v1/responses/none"),
    *("/chat/none", "/nothing"),
]


@pytest.mark.parametrize("path", GETS)
def test_head_is_get_without_a_body(url: str, path: str) -> None:
    changes = {"date", "x-request-id", "content-length" if path == "/metrics" else ""}
    with httpx.Client(base_url=url, timeout=SECONDS) as client:
        got, head = client.get(path), client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    headers = [
        {k: v for k, v in reply.headers.items() if k not in changes} for reply in (got, head)
    ]
    assert headers[0] == headers[1]


def test_the_connection_goes_on(url: str) -> None:
    """A body would be read as the next response."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)
    with closing(connection):
        for method in ("HEAD", "GET", "HEAD", "GET"):
            connection.request(method, "/v1/models")
            reply = connection.getresponse()
            assert (reply.status, bool(reply.read())) == (200, method == "GET")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/tokenize"])
def test_where_there_is_no_get(client: TestClient, path: str) -> None:
    reply = client.head(path)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


def test_every_get_route_takes_it(app: FastAPI, client: TestClient) -> None:
    paths = {
        path.format(model_id="fake", response_id="none", name="none")
        for path, item in app.openapi()["paths"].items()
        if "get" in item
    }
    assert len(paths) > 4
    for path in paths:
        assert client.head(path).status_code == client.get(path).status_code
