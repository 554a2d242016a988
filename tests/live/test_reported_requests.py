"""Requests that people reported as failing, on this server or on others, and their relatives."""

import json
from typing import Any

import httpx
import jsonschema
import pytest

from tests.support.servers import Server

pytestmark = pytest.mark.live

WEATHER = "北京的天气怎么样？"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def post(server: Server, path: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=body, timeout=60)


def ask(server: Server, content: str = "你好", **fields: Any) -> dict[str, Any]:
    """The choice that comes for a question."""
    body = {"messages": [{"role": "user", "content": content}], "temperature": 0, **fields}
    reply = post(server, "/v1/chat/completions", body)
    assert reply.status_code == 200, reply.text
    choice: dict[str, Any] = reply.json()["choices"][0]
    return choice


def tool(parameters: dict[str, Any], **fields: Any) -> dict[str, Any]:
    function = {"name": "get_weather", "description": "查询城市的天气", "parameters": parameters}
    return {"type": "function", "function": function | fields}


def streamed_arguments(server: Server, body: dict[str, Any]) -> str:
    pieces = []
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                pieces += [call["function"]["arguments"] for call in delta.get("tool_calls", ())]
    return "".join(pieces)


def object_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


SCHEMAS = {
    "a Chinese name": object_of(城市={"type": "string", "enum": ["北京"]})
    | {"additionalProperties": False},
    "a reserved name": object_of(city={"enum": ["北京"]}, **{"from": {"enum": ["上海"]}}),
    "an optional reserved name": object_of(city={"enum": ["北京"]})
    | {"properties": {"city": {"enum": ["北京"]}, "from": {"type": "string", "maxLength": 9}}},
    "allOf of one reference": object_of(unit={"allOf": [{"$ref": "#/definitions/Unit"}]})
    | {"definitions": {"Unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}},
    "allOf of two": object_of(n={"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]}),
    "a tuple": object_of(
        point={
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "integer"}],
            "minItems": 2,
            "maxItems": 2,
        }
    ),
    "a tuple of two types": object_of(
        point={
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"enum": ["北", "南"]}],
            "items": False,
            "minItems": 2,
        }
    ),
    "one property or the other": object_of(
        where={
            "type": "object",
            "properties": {"id": {"type": "integer"}, "name": {"type": "string", "maxLength": 8}},
            "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
        }
    ),
    "arguments of one kind or the other": {
        "type": "object",
        "anyOf": [object_of(id={"type": "integer"}), object_of(city={"enum": ["北京"]})],
    },
    "integers by any name": object_of(
        scores={
            "type": "object",
            "propertyNames": {"pattern": "^.{1,4}$"},
            "additionalProperties": {"type": "integer", "maximum": 99, "minimum": 0},
            "maxProperties": 2,
        }
    )
    | {"additionalProperties": False},
    "arguments of any name": {
        "type": "object",
        "additionalProperties": {"type": "boolean"},
        "propertyNames": {"pattern": "^[a-z]{1,8}$"},
        "maxProperties": 3,
    },
    "names that fit a pattern": {
        "type": "object",
        "patternProperties": {"^[a-z]{1,4}$": {"type": "integer", "maximum": 9}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 2,
    },
    "names from a list": object_of(
        scores={
            "type": "object",
            "propertyNames": {"enum": ["北京", "上海"]},
            "additionalProperties": {"type": "integer"},
        }
    ),
    "a union that zod writes": object_of(x={"anyOf": [{"not": {}}, {"type": "boolean"}]}),
    "a decimal that pydantic writes": object_of(
        price={
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 99},
                {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"},
            ]
        }
    ),
    "a discriminated union": object_of(
        pet={
            "oneOf": [object_of(kind={"const": "猫"}), object_of(kind={"const": "狗"})],
            "discriminator": {"propertyName": "kind"},
        }
    ),
}


@pytest.mark.parametrize(
    ("choice", "strict"),
    [("required", {}), ("auto", {"strict": False}), ("auto", {"strict": True})],
)
@pytest.mark.parametrize("name", SCHEMAS)
def test_arguments_fit_their_schema(
    server: Server, name: str, choice: str, strict: dict[str, Any]
) -> None:
    schema = SCHEMAS[name]
    fields = {"tools": [tool(schema, **strict)], "tool_choice": choice, "max_tokens": 120}
    message = ask(server, WEATHER, **fields)["message"]
    if choice == "auto" and not message.get("tool_calls"):
        pytest.fail(f"no call: {message}")
    (call,) = message["tool_calls"]
    jsonschema.validate(json.loads(call["function"]["arguments"]), schema)
    body = {"messages": [{"role": "user", "content": WEATHER}], "temperature": 0, "stream": True}
    jsonschema.validate(json.loads(streamed_arguments(server, body | fields)), schema)


@pytest.mark.parametrize("name", SCHEMAS)
def test_replies_in_json_fit_the_same_schemas(server: Server, name: str) -> None:
    schema = SCHEMAS[name]
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    choice = ask(server, WEATHER, response_format=wanted, max_tokens=120)
    jsonschema.validate(json.loads(choice["message"]["content"]), schema)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(\w{1,200}\s?){1,200}$",
        r"^((a{1,100}b){1,100}c){1,100}$",
        r"^[a-z]{1,60000}$",
        "^(?!no)",
        r"\bno\b",
        r"^(a)\1$",
        "[",
    ],
)
def test_patterns_that_cannot_be_held_are_named(server: Server, pattern: str) -> None:
    schema = object_of(tags={"type": "string", "pattern": pattern})
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for fields in (
        {"tools": [tool(schema)], "tool_choice": "required"},
        {"tools": [tool(schema, strict=True)]},
        {"response_format": wanted},
    ):
        body = {"messages": [{"role": "user", "content": "你好"}], "max_tokens": 20, **fields}
        reply = post(server, "/v1/chat/completions", body)
        assert reply.status_code == 400
        assert "pattern" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "pattern", [r"^(\w{1,20}\s?){1,20}$", r"^(\w{1,200}\s?){1,4}$", r"^.{1,4000}。.{1,3000}$"]
)
def test_long_patterns_are_held_to_the_end(server: Server, pattern: str) -> None:
    """They failed in mid-reply."""
    schema = object_of(tags={"type": "string", "pattern": pattern})
    fields = {"tools": [tool(schema)], "tool_choice": "required", "temperature": 1, "seed": 0}
    choice = ask(server, "call f", max_tokens=60, **fields)
    assert choice["message"]["tool_calls"][0]["function"]["arguments"].startswith('{"tags": "')


@pytest.mark.parametrize("stop", ["\n", " ", ["\n", "。"], "```", "python", "tool_call"])
def test_stops_leave_calls_and_json_whole(server: Server, stop: str | list[str]) -> None:
    call = ask(server, WEATHER, stop=stop, tools=[tool(CITY)], tool_choice="required")
    assert "city" in json.loads(call["message"]["tool_calls"][0]["function"]["arguments"])
    schema = object_of(a={"enum": ["北京"]})
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    text = ask(server, stop=stop, response_format=wanted)["message"]["content"]
    assert '{"a": "北京"}'.startswith(text)
    assert text
    whole = ask(server)["message"]["content"]
    stops = [stop] if isinstance(stop, str) else stop
    ends = [whole.index(one) for one in stops if one in whole]
    assert ask(server, stop=stop)["message"]["content"] == whole[: min(ends, default=None)].rstrip()


@pytest.mark.parametrize("max_tokens", [1, 2, 3])
@pytest.mark.parametrize("tools", [[], [tool(CITY)]], ids=["alone", "with tools"])
def test_the_first_tokens_are_visible_ones(
    server: Server, max_tokens: int, tools: list[Any]
) -> None:
    fields = {"logprobs": True, "top_logprobs": 5, "max_tokens": max_tokens}
    choice = ask(server, "Is water wet? Answer yes or no.", **fields, tools=tools)
    tokens = choice["logprobs"]["content"]
    assert 1 <= len(tokens) <= max_tokens
    assert all(len(token["top_logprobs"]) == 5 for token in tokens)
    text = bytes(byte for token in tokens for byte in token["bytes"]).decode()
    assert text.strip() == choice["message"]["content"]


@pytest.mark.parametrize("stop", ["演示", "zzz", "。"])
def test_log_probabilities_are_those_of_the_content(server: Server, stop: str) -> None:
    choice = ask(server, stop=[stop], logprobs=True)
    tokens = choice["logprobs"]["content"]
    text = bytes(byte for token in tokens for byte in token["bytes"]).decode()
    assert choice["message"]["content"].startswith(text.rstrip())
    assert stop not in text


@pytest.mark.parametrize("arguments", ['{"city": "北京', "", "{", "北京", "[1]", "null"])
def test_arguments_that_were_cut_off_go_back(server: Server, arguments: str) -> None:
    call = {"name": "get_weather", "arguments": arguments}
    messages = [
        {"role": "user", "content": WEATHER},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "error: the arguments were cut off"},
        {"role": "user", "content": "再试一次"},
    ]
    body = {"messages": messages, "tools": [tool(CITY)], "max_tokens": 20}
    assert post(server, "/v1/chat/completions", body).status_code == 200


@pytest.mark.parametrize("max_tokens", range(1, 14))
def test_a_name_that_is_cut_off_is_no_prose(server: Server, max_tokens: int) -> None:
    fields = {"tools": [tool(CITY)], "tool_choice": "required", "max_tokens": max_tokens}
    choice = ask(server, WEATHER, **fields)
    assert choice["finish_reason"] == "length"
    assert not choice["message"]["content"]
    for call in choice["message"].get("tool_calls", ()):
        assert call["function"]["name"] == "get_weather"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": None, "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/embeddings", {"model": None, "input": "你好"}),
        (
            "/v1/messages",
            {"model": "x", "system": None, "messages": [{"role": "user", "content": "你好"}]},
        ),
        (
            "/v1/messages",
            {
                "model": "x",
                "messages": [
                    {"role": "user", "content": "hi"},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": "...", "signature": "s"},
                            {"type": "redacted_thinking", "data": "e"},
                            {"type": "text", "text": "ok"},
                        ],
                    },
                    {"role": "user", "content": "go on"},
                ],
            },
        ),
    ],
)
def test_what_says_nothing_is_taken(server: Server, path: str, body: dict[str, Any]) -> None:
    limit = {} if path == "/v1/embeddings" else {"max_tokens": 5}
    reply = post(server, path, body | limit)
    assert reply.status_code == 200, reply.text


def test_functions_as_chatglm3s_own_object(server: Server) -> None:
    parameter = {"name": "city_name", "description": "城市", "type": "str", "required": True}
    function = {"name": "get_weather", "description": "查询天气", "params": [parameter]}
    choice = ask(server, "帮我查询北京的天气怎么样", functions={"get_weather": function})
    assert "city_name" in json.loads(choice["message"]["function_call"]["arguments"])


@pytest.mark.parametrize(
    ("path", "fields", "limit"),
    [
        ("/v1/chat/completions", {"stop": [str(n) for n in range(17)]}, "16"),
        ("/v1/embeddings", {"input": ["a"] * 2049}, "2048"),
        ("/v1/embeddings", {"input": []}, "1"),
    ],
)
def test_errors_tell_the_limit(
    server: Server, path: str, fields: dict[str, Any], limit: str
) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}]} if "chat" in path else {}
    reply = post(server, path, body | fields)
    assert reply.status_code == 400
    assert limit in reply.json()["error"]["message"]
