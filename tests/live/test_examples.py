"""Every example of the API docs, taken from the document as the pages take it, and sent."""

import json
from typing import Any

import httpx
import pytest

from tests.support.servers import Server
from tests.support.waiting import SECONDS

pytestmark = pytest.mark.live

WANTED = {
    "/v1/chat/completions": {"chat", "stream", "tools", "json"},
    "/v1/completions": {"text"},
    "/v1/embeddings": {"text"},
    "/v1/rerank": {"texts"},
    "/v1/messages": {"chat", "stream"},
    "/v1/messages/count_tokens": {"chat"},
    "/v1/responses": {"text", "stream"},
    "/api/show": {"model"},
    "/api/chat": {"chat", "whole", "tools", "json"},
    "/api/generate": {"prompt", "raw"},
    "/api/embed": {"several"},
    "/api/embeddings": {"text"},
    "/tokenize": {"ids"},
    "/detokenize": {"text"},
}


@pytest.fixture(scope="module")
def examples(rerank_server: Server) -> dict[str, dict[str, Any]]:
    """Path to name to body."""
    paths = httpx.get(f"{rerank_server.url}/openapi.json", timeout=SECONDS).json()["paths"]
    found = {}
    for path, operations in paths.items():
        if body := operations.get("post", {}).get("requestBody"):
            entries = body["content"]["application/json"].get("examples", {})
            found[path] = {name: entry["value"] for name, entry in entries.items()}
    return found


def test_each_route_with_a_body_has_examples(examples: dict[str, dict[str, Any]]) -> None:
    assert examples.keys() == WANTED.keys()
    for path, names in WANTED.items():
        assert names <= examples[path].keys()


@pytest.mark.parametrize("path", WANTED)
def test_examples_run(
    path: str, examples: dict[str, dict[str, Any]], rerank_server: Server
) -> None:
    for name, body in examples[path].items():
        reply = httpx.post(f"{rerank_server.url}{path}", json=body, timeout=60)
        assert reply.status_code == 200, (name, reply.text)
        content_type = reply.headers["content-type"]
        is_stream = content_type.startswith(("text/event-stream", "application/x-ndjson"))
        assert is_stream == body.get("stream", False)
        assert '"error":{' not in reply.text
        assert '{"error":' not in reply.text


def test_what_the_examples_show(examples: dict[str, dict[str, Any]], rerank_server: Server) -> None:
    def chat(name: str) -> Any:
        url = f"{rerank_server.base_url}/chat/completions"
        body = {**examples["/v1/chat/completions"][name], "temperature": 0}
        return httpx.post(url, json=body, timeout=60).json()["choices"][0]["message"]

    (call,) = chat("tools")["tool_calls"]
    assert call["function"]["name"] == "get_current_weather"
    assert "23" in chat("tool result")["content"]
    assert json.loads(chat("json")["content"])["city"] in {"北京", "上海", "广州"}
