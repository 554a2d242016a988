"""Calls fit their tools' schemas whatever parameters are called and whatever ``strict`` says."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import openai
import pytest

from tests.support.servers import Server

pytestmark = pytest.mark.live

NAMES = [
    ["城市"],
    ["city", "from"],
    ["from", "to"],
    ["city", "file-path"],
    ["-A", "-B"],
    ["出発地", "到着地"],
    ["class", "名 字", "$id", "it's", "1"],
]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


def parameters(names: list[str], **keywords: Any) -> dict[str, Any]:
    properties = {name: {"enum": ["北京", 3, None]} for name in names}
    return {"type": "object", "properties": properties, "required": names} | keywords


def ask(client: openai.OpenAI, schema: dict[str, Any], *, stream: bool, **fields: Any) -> str:
    """The arguments of the call that comes."""
    function = {"name": "get_weather", "description": "查询城市的天气", "parameters": schema}
    function |= {key: fields.pop(key) for key in ("strict",) if key in fields}
    create: Any = client.chat.completions.create
    reply = create(
        model="m",
        messages=[{"role": "user", "content": "北京的天气怎么样？"}],
        tools=[{"type": "function", "function": function}],
        temperature=0,
        max_tokens=200,
        stream=stream,
        **fields,
    )
    if not stream:
        (call,) = reply.choices[0].message.tool_calls
        return str(call.function.arguments)
    deltas = [call for chunk in reply for call in chunk.choices[0].delta.tool_calls or ()]
    return "".join(call.function.arguments or "" for call in deltas)


@pytest.mark.parametrize("strict", [{}, {"strict": False}, {"strict": None}, {"strict": True}])
@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize("names", NAMES, ids=",".join)
def test_every_required_argument_is_there(
    client: openai.OpenAI, names: list[str], choice: str, strict: dict[str, Any]
) -> None:
    schema = parameters(names, additionalProperties=False)
    plain = ask(client, schema, stream=False, tool_choice=choice, **strict)
    jsonschema.validate(json.loads(plain), schema)
    assert list(json.loads(plain)) == names
    assert ask(client, schema, stream=True, tool_choice=choice, **strict) == plain


@pytest.mark.parametrize("names", NAMES, ids=",".join)
def test_optional_arguments_fit_too(client: openai.OpenAI, names: list[str]) -> None:
    schema = parameters(names) | {"required": names[:1]}
    arguments = json.loads(ask(client, schema, stream=False, tool_choice="required", strict=False))
    jsonschema.validate(arguments, schema)


def test_arguments_go_back_into_the_conversation(client: openai.OpenAI) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"城市": "北京", "file-path": "a"}'},
    }
    messages: Any = [
        {"role": "user", "content": "北京的天气怎么样？"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "晴，22 度"},
    ]
    reply = client.chat.completions.create(model="m", messages=messages, temperature=0)
    assert reply.choices[0].message.content


@pytest.mark.parametrize("depth", [12, 60])
@pytest.mark.parametrize("kinds", [["array"] * 3, ["array", "object", "array"], ["array"] * 50])
def test_nested_lists_of_types_cost_nothing(
    client: openai.OpenAI, server: Server, depth: int, kinds: list[str]
) -> None:
    """Each level made the grammar three times as long: depth 12 took 10 GB."""
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth // 2 if "object" in kinds else depth):
        schema = {"type": kinds, "items": schema, "maxItems": 1}
        if "object" in kinds:
            schema = {"type": kinds, "properties": {"x": schema}}
    wanted = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    try:
        assert '"x"' in ask(client, wanted, stream=False, tool_choice="required")
    except openai.BadRequestError as exc:
        assert "context length" in str(exc)  # noqa: PT017 - the schema is in the prompt
    health = client.with_options(base_url=server.url).get("/health", cast_to=object)
    assert health
