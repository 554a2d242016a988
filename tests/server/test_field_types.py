"""Types of request fields: null is nothing, ``"5"`` is no number, and limits are told."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from starlette.testclient import TestClient

from glm3edge.schema.base import RequestModel
from glm3edge.schema.completions import CompletionRequest
from glm3edge.schema.embeddings import EmbeddingsRequest
from glm3edge.schema.legacy import ChatBody
from glm3edge.schema.messages import MessagesRequest
from glm3edge.schema.responses import ResponseRequest
from glm3edge.schema.tokenize import DetokenizeRequest, TokenizeRequest
from tests.support.fakes import FakeBackend, say

USER = {"role": "user", "content": "你好"}
BODIES: dict[str, tuple[type[RequestModel], dict[str, Any]]] = {
    "/v1/chat/completions": (ChatBody, {"messages": [USER]}),
    "/v1/completions": (CompletionRequest, {"prompt": "你好"}),
    "/v1/embeddings": (EmbeddingsRequest, {"input": "你好"}),
    "/v1/messages": (MessagesRequest, {"messages": [USER], "max_tokens": 5}),
    "/v1/responses": (ResponseRequest, {"input": "你好"}),
    "/tokenize": (TokenizeRequest, {"content": "你好"}),
    "/detokenize": (DetokenizeRequest, {"tokens": [5]}),
}


@pytest.fixture(autouse=True)
def _reply(backend: FakeBackend) -> None:
    backend.reply_for = say("\n 好")


def subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def names(model: type[BaseModel], *, required: bool) -> list[str]:
    fields = model.model_fields.items()
    return [f.alias or name for name, f in fields if f.is_required() == required]


MODELS = sorted(set(subclasses(RequestModel)), key=lambda model: f"{model.__module__}{model}")


@pytest.mark.parametrize("model", MODELS)
def test_null_is_as_good_as_nothing(model: type[BaseModel]) -> None:
    """Of every object in a request: what is missed is what is required, and nothing else."""
    optional, required = names(model, required=False), names(model, required=True)
    for fields in (optional, [*optional, *required]):
        try:
            model.model_validate(dict.fromkeys(fields))
        except ValidationError as exc:
            found = exc.errors()
            assert {error["type"] for error in found} == {"missing"}
            assert {error["loc"][0] for error in found} == set(required)
        else:
            assert not required


@pytest.mark.parametrize("path", BODIES)
def test_a_body_full_of_nulls(client: TestClient, path: str) -> None:
    model, body = BODIES[path]
    reply = client.post(path, json=dict.fromkeys(names(model, required=False)) | body)
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [USER | {"name": None, "tool_calls": None, "tool_call_id": None}]},
        {"messages": [{"role": "assistant", "content": None, "refusal": None}, USER]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": None}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "strict": None}}]},
        {"functions": [{"name": "f", "description": None, "parameters": None}]},
        {"functions": {"f": {"name": None, "description": None, "params": None}}},
        {"response_format": {"type": "text", "json_schema": None}},
        {"stream_options": {"include_usage": None, "include_obfuscation": None}},
        {"prompt_cache_options": {"mode": None, "ttl": None}},
    ],
)
def test_nulls_within_fields(client: TestClient, fields: dict[str, Any]) -> None:
    reply = client.post("/v1/chat/completions", json={"messages": [USER], **fields})
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/v1/chat/completions", {"messages": None}, "messages"),
        ("/v1/chat/completions", {"messages": [None]}, "messages[0]"),
        ("/v1/chat/completions", {"messages": [{"role": None}]}, "messages[0].role"),
        ("/v1/chat/completions", {"stop": ["a", None]}, "stop[1]"),
        ("/v1/chat/completions", {"logit_bias": {"5": None}}, "logit_bias.5"),
        ("/v1/embeddings", {"input": None}, "input"),
        ("/v1/embeddings", {"input": ["a", None]}, "input[1]"),
        ("/v1/completions", {"prompt": [[5, None]]}, "prompt[0][1]"),
    ],
)
def test_null_is_no_value(
    client: TestClient, path: str, fields: dict[str, Any], param: str
) -> None:
    reply = client.post(path, json=BODIES[path][1] | fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def fields_of(*types: str) -> list[tuple[str, str]]:
    """Routes, and their fields of these JSON types."""
    return [
        (path, name)
        for path, (model, _) in BODIES.items()
        for name, schema in model.model_json_schema()["properties"].items()
        if {part.get("type") for part in schema.get("anyOf", [schema])} & set(types)
        and not {part.get("type") for part in schema.get("anyOf", [schema])} & {"string", "array"}
    ]


def fault(model: type[BaseModel], body: dict[str, Any]) -> tuple[object, str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    first = caught.value.errors()[0]
    return first["loc"][0], first["msg"]


@pytest.mark.parametrize("value", ["1", "", "x", True, False, [1], {"a": 1}])
@pytest.mark.parametrize(("path", "name"), fields_of("integer", "number"))
def test_booleans_and_strings_are_no_numbers(path: str, name: str, value: object) -> None:
    model, body = BODIES[path]
    found, message = fault(model, body | {name: value})
    assert found == name
    assert re.match("Input should be a valid (integer|number)", message)


@pytest.mark.parametrize("value", ["true", "", 1, 0, 1.0, [True]])
@pytest.mark.parametrize(("path", "name"), fields_of("boolean"))
def test_numbers_and_strings_are_no_booleans(path: str, name: str, value: object) -> None:
    model, body = BODIES[path]
    assert fault(model, body | {name: value})[0] == name


@pytest.mark.parametrize(("path", "name"), fields_of("integer"))
def test_an_integer_may_be_written_with_a_point(path: str, name: str) -> None:
    """As in JSON Schema; some languages know no other numbers."""
    model, body = BODIES[path]
    found = getattr(model.model_validate(body | {name: 1.0}), name)
    assert (found, type(found)) == (1, int)
    assert fault(model, body | {name: 1.5})[0] == name


def test_the_tables_have_fields() -> None:
    assert ("/v1/chat/completions", "max_tokens") in fields_of("integer")
    assert ("/v1/messages", "temperature") in fields_of("number")
    assert ("/tokenize", "add_special") in fields_of("boolean")


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/v1/chat/completions", {"logit_bias": {"5": "1"}}, "logit_bias.5"),
        ("/v1/chat/completions", {"logit_bias": {"5": True}}, "logit_bias.5"),
        ("/v1/completions", {"prompt": [True]}, "prompt[0]"),
        ("/v1/completions", {"prompt": [5, "6"]}, "prompt[1]"),
        ("/v1/embeddings", {"input": [[5, True]]}, "input[0][1]"),
        ("/detokenize", {"tokens": ["5"]}, "tokens[0]"),
        ("/detokenize", {"tokens": [True]}, "tokens[0]"),
        (
            "/v1/chat/completions",
            {"stream_options": {"include_usage": "yes"}},
            "stream_options.include_usage",
        ),
        (
            "/v1/chat/completions",
            {"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]},
            "tools[0].function.strict",
        ),
    ],
)
def test_numbers_within_fields(
    client: TestClient, path: str, fields: dict[str, Any], param: str
) -> None:
    reply = client.post(path, json=BODIES[path][1] | fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
@pytest.mark.parametrize("name", ["max_tokens", "temperature", "top_p"])
def test_numbers_beyond_all_bounds(client: TestClient, name: str, number: str) -> None:
    content = f'{{"messages": [{{"role": "user", "content": "hi"}}], "{name}": {number}}}'
    headers = {"Content-Type": "application/json"}
    reply = client.post("/v1/chat/completions", content=content, headers=headers)
    assert reply.status_code == 400


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400 + ".5"])
@pytest.mark.parametrize("path", BODIES)
def test_numbers_that_only_infinity_is_near(client: TestClient, path: str, number: str) -> None:
    """Grammars of schemas with ``1e400`` used to spell it ``inf``."""
    content = f'{{"anything": [{{"const": {number}}}]}}'
    reply = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == 400
    assert "a number beyond 1.8e308" in str(reply.json()["error"])


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("/v1/chat/completions", {"stop": ["x"] * 17}, "stop: .* at most 16 "),
        ("/v1/completions", {"stop": ["x"] * 17}, "stop: .* at most 16 "),
        ("/v1/messages", {"stop_sequences": ["x"] * 17}, "stop_sequences: .* at most 16 "),
        ("/v1/embeddings", {"input": ["x"] * 2049}, "input: .* at most 2048 "),
        ("/v1/embeddings", {"input": [[5]] * 2049}, "input: .* at most 2048 "),
        ("/v1/embeddings", {"input": []}, "input: .* at least 1 "),
        ("/v1/embeddings", {"input": [[]]}, r"input\[0\]: .* at least 1 "),
        ("/v1/embeddings", {"input": [[5], []]}, r"input\[1\]: .* at least 1 "),
        ("/v1/completions", {"prompt": ["x"] * 2049}, "prompt: .* at most 2048 "),
        ("/v1/completions", {"prompt": []}, "prompt: .* at least 1 "),
        ("/v1/chat/completions", {"messages": []}, "messages: .* at least 1 "),
        ("/v1/chat/completions", {"n": 65}, "n: .* less than or equal to 64"),
        ("/v1/chat/completions", {"top_logprobs": 21}, "top_logprobs: .* less than .* 20"),
        (
            "/v1/chat/completions",
            {"metadata": {str(number): "" for number in range(17)}},
            "metadata: .* at most 16 ",
        ),
        (
            "/v1/chat/completions",
            {"tools": [{"type": "function", "function": {"name": "x" * 129}}]},
            r"tools\[0\]\.function\.name: .* at most 128 ",
        ),
    ],
)
def test_limits_are_told(client: TestClient, path: str, fields: dict[str, Any], words: str) -> None:
    reply = client.post(path, json=BODIES[path][1] | fields)
    assert reply.status_code == 400
    assert re.match(words, reply.json()["error"]["message"])
