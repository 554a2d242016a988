"""docs/api.md against the code, the clients' own lists of fields, and a real server."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anthropic.types.beta import message_create_params as beta_params
from anthropic.types.message_create_params import MessageCreateParamsBase
from openai.types import completion_create_params as completion_params
from openai.types import embedding_create_params as embedding_params
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params as response_params
from pydantic import BaseModel

from glm3edge.limits import MAX_BODY_BYTES
from glm3edge.schema.chat import StreamOptions
from glm3edge.schema.completions import CompletionRequest
from glm3edge.schema.embeddings import EmbeddingsRequest
from glm3edge.schema.legacy import BodyMessage, ChatBody
from glm3edge.schema.messages import MessagesRequest
from glm3edge.schema.ollama import (
    EmbedRequest,
    GenerateRequest,
    OllamaChatRequest,
    OllamaOptions,
)
from glm3edge.schema.rerank import RerankRequest
from glm3edge.schema.responses import ResponseRequest
from glm3edge.server import error_responses
from glm3edge.server.http_protocol import MAX_HEAD_BYTES
from tests.support.pages import rows
from tests.support.paths import ROOT
from tests.support.servers import Server

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "api.md"
SOURCES = sorted((ROOT / "glm3edge").rglob("*.py"))
MESSAGE = [{"role": "user", "content": "你好"}]

OLLAMA = {"stream": False, "options": {"temperature": 0, "num_predict": 6}}

# Of each table: its heading, the request's model, the client's list, the route, a body to add to.
ROUTES: dict[str, tuple[type[BaseModel], type | None, str, dict[str, Any]]] = {
    "Chat completions": (
        ChatBody,
        chat_params.CompletionCreateParamsBase,
        "/v1/chat/completions",
        {"messages": MESSAGE, "temperature": 0, "max_tokens": 6},
    ),
    "Completions": (
        CompletionRequest,
        completion_params.CompletionCreateParamsBase,
        "/v1/completions",
        {"prompt": "你好", "temperature": 0, "max_tokens": 6},
    ),
    "Embeddings": (
        EmbeddingsRequest,
        embedding_params.EmbeddingCreateParams,
        "/v1/embeddings",
        {"input": "你好"},
    ),
    "Rerank": (
        RerankRequest,
        None,
        "/v1/rerank",
        {"query": "熊猫吃什么？", "documents": ["大熊猫以竹子为食。", "今天天气很好。"]},
    ),
    "Responses": (
        ResponseRequest,
        response_params.ResponseCreateParamsBase,
        "/v1/responses",
        {"input": "你好", "temperature": 0, "max_output_tokens": 6},
    ),
    "Anthropic's messages": (
        MessagesRequest,
        MessageCreateParamsBase,
        "/v1/messages",
        {"messages": MESSAGE, "temperature": 0, "max_tokens": 6},
    ),
    "Ollama's chat": (OllamaChatRequest, None, "/api/chat", {"messages": MESSAGE, **OLLAMA}),
    "Ollama's generate": (GenerateRequest, None, "/api/generate", {"prompt": "你好", **OLLAMA}),
    "Ollama's embed": (EmbedRequest, None, "/api/embed", {"input": "你好"}),
}


def code(cell: str) -> str:
    return cell.strip("`")


def field_rows() -> list[tuple[str, str, str, str]]:
    return [(h, code(r[0]), r[1], code(r[2])) for h in ROUTES for r in rows(PAGE, h)]


def field_names(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize("heading", ROUTES)
def test_every_field_is_listed_once(heading: str) -> None:
    model, params, _, _ = ROUTES[heading]
    listed = [code(row[0]) for row in rows(PAGE, heading)]
    assert len(listed) == len(set(listed))
    known = field_names(model)
    theirs = set() if params is None else set(params.__annotations__)
    if params is MessageCreateParamsBase:
        theirs |= set(beta_params.MessageCreateParamsBase.__annotations__)
    assert known - set(listed) == set()
    assert theirs - set(listed) == set()
    assert set(listed) - known - theirs == set()


@pytest.mark.parametrize(
    ("heading", "model"), [("Streams", StreamOptions), ("Ollama's options", OllamaOptions)]
)
def test_fields_of_options(heading: str, model: type[BaseModel]) -> None:
    assert {code(row[0]) for row in rows(PAGE, heading)} == field_names(model)


def test_fields_of_a_message() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("Of a message:")[2].partition("###")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == field_names(BodyMessage)


@pytest.mark.parametrize("heading", ROUTES)
def test_obeyed_fields_are_read_by_the_code(heading: str) -> None:
    """What is only declared cannot be obeyed."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    only_checked = {"modalities"}  # there is one way to obey, which the schema demands
    for row in rows(PAGE, heading):
        name = code(row[0])
        if row[1] == "obeyed" and name not in only_checked:
            assert re.search(rf"\.{name}\b|\"{name}\"", source), name


@pytest.fixture(scope="module")
def client(rerank_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=rerank_server.url, timeout=60) as client:
        yield client


@pytest.mark.live
@pytest.mark.parametrize(("heading", "name", "kind", "example"), field_rows())
def test_the_example(
    client: httpx.Client, heading: str, name: str, kind: str, example: str
) -> None:
    _, _, route, body = ROUTES[heading]
    added = json.loads(f"{{{example}}}")
    assert name in added
    reply = client.post(route, json=body | added)
    if kind == "refused":
        assert reply.status_code == 400, reply.text
        error = reply.json()["error"]
        if isinstance(error, str):
            assert name in error
        elif heading == "Anthropic's messages":
            assert name in error["message"]
        else:
            assert error["param"].startswith(name)
        return
    assert reply.status_code == 200, reply.text
    assert kind in ("obeyed", "ignored")
    if kind == "ignored" and "stream" not in added:
        assert said(reply) == said(client.post(route, json=body))


def said(reply: httpx.Response) -> object:
    """What was made, without ids, times and counts."""
    body = reply.json()
    if "output" in body:
        return body["output"][0]["content"][0]["text"]
    if "data" in body:  # the last digits depend on how much of it was in memory
        return [round(number, 4) for number in body["data"][0]["embedding"]]
    if "embeddings" in body:
        return [round(number, 4) for number in body["embeddings"][0]]
    names = ("choices", "content", "message", "response", "results")
    return next(body[name] for name in names if name in body)


@pytest.mark.live
def test_the_routes(client: httpx.Client) -> None:
    listed = {tuple(code(row[0]).split()) for row in rows(PAGE, "Routes")}
    paths = client.get("/openapi.json").json()["paths"]
    assert listed == {(method.upper(), path) for path in paths for method in paths[path]}


@pytest.mark.live
def test_the_limits(client: httpx.Client) -> None:
    """Errors of the table, from a server; the others take many clients, or minutes."""
    listed = {(int(status), code(name)) for _, status, name in rows(PAGE, "Limits")}
    assert listed <= {(int(row[0]), code(row[2])) for row in rows(PAGE, "Errors")}
    bodies: list[tuple[bytes, dict[str, str]]] = [
        (json.dumps({"messages": [MESSAGE[0] | {"content": "你" * 10**6}]}).encode(), {}),
        (b'{"messages": ' + b"[" * 101 + b"]" * 101 + b"}", {}),
        (b" " * (MAX_BODY_BYTES + 1), {}),
        (b"{}", {"x-long": "a" * MAX_HEAD_BYTES}),
    ]
    found = set()
    for content, headers in bodies:
        headers |= {"content-type": "application/json"}
        reply = client.post("/v1/chat/completions", content=content, headers=headers)
        found.add((reply.status_code, reply.json()["error"]["code"] or ""))
    assert found == listed - {(408, "request_timeout"), (429, "queue_full")} - {
        (503, "too_many_connections")
    }


def test_the_errors() -> None:
    listed = {(int(r[0]), code(r[1]), code(r[2]) or None) for r in rows(PAGE, "Errors")}
    table = {(int(status), kind, name) for _, status, kind, name in error_responses._TABLE}
    others = {
        (int(status), "invalid_request_error", name)
        for status, name in error_responses._CODES.items()
    }
    assert listed == table | others
