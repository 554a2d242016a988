"""Replies of random weights that are held to a grammar: the official client, a real server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import openai
import pytest

from benchmarks.random_schemas import check
from tests.support.servers import start_server, stop_server

pytestmark = pytest.mark.live

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["near", "far"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "good": {"type": "boolean"},
    },
    "required": ["kind", "count", "good"],
    "additionalProperties": False,
}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA}}
    for name in ("find_place", "leave_place")
]
NAMED = {"type": "function", "function": {"name": "leave_place"}}
MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "你好"}]


@pytest.fixture(scope="module")
def create(tiny_gguf: Path) -> Iterator[Any]:
    """``chat.completions.create`` of a server with random weights."""
    server = start_server(str(tiny_gguf), "--disk-cache", "0", "--ctx-size", "4096")
    client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)

    def ask(**fields: Any) -> Any:
        make: Any = client.chat.completions.create
        return make(model="m", messages=MESSAGES, max_tokens=300, **fields)

    yield ask
    assert stop_server(server) == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"find_place", "leave_place"}),
        (NAMED, {"leave_place"}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
            {"leave_place"},
        ),
    ],
)
def test_a_call_that_has_to_be_is_one(create: Any, choice: Any, names: set[str], seed: int) -> None:
    choice = create(tools=TOOLS, tool_choice=choice, seed=seed, temperature=1.5).choices[0]
    (call,) = choice.message.tool_calls
    assert call.function.name in names
    jsonschema.validate(json.loads(call.function.arguments), SCHEMA)
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize("seed", range(5))
def test_json_of_a_schema(create: Any, seed: int) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    choice = create(response_format=wanted, seed=seed, temperature=1.5).choices[0]
    jsonschema.validate(json.loads(choice.message.content), SCHEMA)
    assert choice.finish_reason == "stop"


def test_streamed_json(create: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    chunks = create(response_format=wanted, seed=1, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    jsonschema.validate(json.loads(text), SCHEMA)


def test_logprobs_beside_a_grammar_are_numbers(create: Any) -> None:
    reply = create(
        response_format={"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        logprobs=True,
        top_logprobs=3,
        seed=2,
    )
    tokens = reply.choices[0].logprobs.content
    assert all(-9999 <= top.logprob <= 0 for token in tokens for top in token.top_logprobs)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tool_choice": "required"}, "needs tools"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "no"}}},
            "tools has no tool 'no'",
        ),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "needs json_schema.schema"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"unevaluatedItems": False}},
                }
            },
            "unevaluatedItems",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused(
    create: Any, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=message):
        create(**fields)


def test_a_pattern_that_cannot_be_held_is_refused_where_it_has_to_be(create: Any) -> None:
    parameters = {"type": "object", "properties": {"x": {"type": "string", "pattern": "(?=a)b"}}}
    function: dict[str, Any] = {"name": "find", "parameters": parameters}
    tools = [{"type": "function", "function": function}]
    assert create(tools=tools, seed=1).choices[0].finish_reason
    with pytest.raises(openai.BadRequestError, match=r"constrained to pattern .*look-around"):
        create(tools=[{"type": "function", "function": {**function, "strict": True}}])


def test_random_schemas(tiny_gguf: Path) -> None:
    """A short run: ``benchmarks/random_schemas.py`` is the long one."""
    fitted, wrong = check(tiny_gguf, num_schemas=40)
    assert wrong == []
    assert set(fitted.values()) == {10}
