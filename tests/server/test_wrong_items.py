"""Lists and dicts of wrong items: an error for each would take a thousand times its bytes."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.testclient import TestClient

from glm3edge.schema.base import RequestModel
from glm3edge.schema.completions import CompletionRequest
from glm3edge.schema.embeddings import EmbeddingsRequest
from glm3edge.schema.legacy import ChatBody
from glm3edge.schema.messages import MessagesRequest
from glm3edge.schema.ollama import EmbedRequest, GenerateRequest, OllamaChatRequest
from glm3edge.schema.rerank import RerankRequest
from glm3edge.schema.responses import ResponseRequest
from glm3edge.schema.tokenize import DetokenizeRequest

USER = {"role": "user", "content": "你好"}
CHAT = {"messages": [USER]}
COUNT = 3000

# A model, what a body of it has besides, and the way to a list or dict.
FIELDS: list[tuple[type[RequestModel], dict[str, Any], list[str | int]]] = [
    (ChatBody, {}, ["messages"]),
    (ChatBody, {"messages": [{"role": "user"}]}, ["messages", 0, "content"]),
    (ChatBody, {"messages": [{"role": "assistant"}]}, ["messages", 0, "tool_calls"]),
    (ChatBody, dict(CHAT), ["tools"]),
    (ChatBody, dict(CHAT), ["functions"]),
    (ChatBody, dict(CHAT), ["stop"]),
    (ChatBody, dict(CHAT), ["modalities"]),
    (ChatBody, dict(CHAT), ["metadata"]),
    (ChatBody, dict(CHAT), ["logit_bias"]),
    (ChatBody, CHAT | {"prediction": {"type": "content"}}, ["prediction", "content"]),
    (CompletionRequest, {}, ["prompt"]),
    (EmbeddingsRequest, {}, ["input"]),
    (RerankRequest, {"query": "你好"}, ["documents"]),
    (MessagesRequest, {"max_tokens": 1}, ["messages"]),
    (MessagesRequest, {"max_tokens": 1, **CHAT}, ["system"]),
    (MessagesRequest, {"max_tokens": 1, **CHAT}, ["tools"]),
    (MessagesRequest, {"max_tokens": 1, **CHAT}, ["stop_sequences"]),
    (ResponseRequest, {}, ["input"]),
    (ResponseRequest, {"input": [dict(USER)]}, ["input", 0, "content"]),
    (ResponseRequest, {"input": "你好"}, ["tools"]),
    (ResponseRequest, {"input": "你好"}, ["include"]),
    (ResponseRequest, {"input": "你好"}, ["metadata"]),
    (OllamaChatRequest, {}, ["messages"]),
    (OllamaChatRequest, {"messages": [{"role": "assistant"}]}, ["messages", 0, "tool_calls"]),
    (OllamaChatRequest, {}, ["tools"]),
    (OllamaChatRequest, {"options": {}}, ["options", "stop"]),
    (GenerateRequest, {}, ["context"]),
    (EmbedRequest, {}, ["input"]),
    (DetokenizeRequest, {}, ["tokens"]),
]
WRONG: list[object] = [-1, 1.5, None, "", "你好", {}, [], [[-1]], {"role": 5}, ["a", -1], {"a": []}]


def subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def containers(schema: object) -> Iterator[dict[str, Any]]:
    """Lists and dicts in a schema of pydantic's."""
    if isinstance(schema, dict):
        if schema.get("type") in ("list", "dict", "set", "frozenset", "tuple", "generator"):
            yield schema
        for part in schema.values():
            yield from containers(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from containers(part)


def test_every_list_and_dict_stops_at_its_first_error() -> None:
    found = [
        (model.__name__, container)
        for model in subclasses(RequestModel)
        for container in containers(model.__pydantic_core_schema__)
    ]
    assert len(found) > 50
    assert [name for name, container in found if not container.get("fail_fast")] == []


def num_errors(model: type[RequestModel], body: object) -> int:
    try:
        TypeAdapter(model).validate_python(body, from_attributes=True)
    except ValidationError as exc:
        return exc.error_count()
    return 0


def put(body: Any, way: list[str | int], value: object) -> None:
    for step in way[:-1]:
        body = body[step]
    body[way[-1]] = value


@pytest.mark.parametrize(("model", "body", "way"), FIELDS)
@pytest.mark.parametrize("item", WRONG)
def test_many_wrong_items_are_a_few_errors(
    model: type[RequestModel], body: dict[str, Any], way: list[str | int], item: object
) -> None:
    """At most one for each branch of a union."""
    for value in ([item] * COUNT, {f"键{i}": item for i in range(COUNT)}):
        put(body, way, value)
        assert num_errors(model, body) <= 8


@pytest.mark.slow
@given(
    field=st.sampled_from(FIELDS),
    items=st.lists(st.sampled_from(WRONG) | st.text() | st.integers(), min_size=100, max_size=300),
)
def test_any_wrong_items_are_a_few_errors(
    field: tuple[type[RequestModel], dict[str, Any], list[str | int]], items: list[object]
) -> None:
    model, body, way = field
    put(body, way, items)
    assert num_errors(model, body) <= 8


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"messages": [USER, 1, USER, 2]}, "messages[1]", "messages[1]: Input should be a valid"),
        (CHAT | {"tools": [{"type": "x"}] * 9}, "tools[0].type", "tools[0].type: "),
        (CHAT | {"logit_bias": {"1": 0, "二": 0}}, "logit_bias.二", "logit_bias.二: String should"),
        (
            CHAT | {"metadata": {"键" * 5000: 1}},
            "metadata." + "键" * 491 + "..." + "键" * 500,
            "metadata.键键",
        ),
        ({"messages": [{"role": "x" * 10**6}]}, "messages[0].role", "messages[0].role: Input"),
        (
            {"messages": [{"role": "user", "content": [{"type": "图" * 10**6}]}]},
            None,
            "messages[0]",
        ),
        ({"messages": [{"role": "user", "content": [{"type": [0] * 10**5}]}]}, None, "messages[0]"),
    ],
)
def test_the_first_error_is_told_in_short(
    client: TestClient, body: object, param: str | None, message: str
) -> None:
    reply = client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["message"].startswith(message)
    assert len(error["message"]) <= 1003
    if param is not None:
        assert error["param"] == param
