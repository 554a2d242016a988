"""Tools in namespaces, tools with free input and tools of OpenAI's servers."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from openai.types import responses as official
from pydantic import TypeAdapter, ValidationError

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatChunk, ChatReply
from glm3edge.schema.response_items import CustomToolCall, FunctionCall
from glm3edge.schema.responses import ResponseReply, ResponseRequest
from glm3edge.serving.responses.events import EventWriter, response_events
from glm3edge.serving.responses.reply import add_reply, new_response
from glm3edge.serving.responses.request import chat_request

EVENT: TypeAdapter[Any] = TypeAdapter(official.ResponseStreamEvent)
CITY = {"type": "object", "properties": {"城市": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "天气", "parameters": CITY}
ADD = {"type": "function", "name": "add", "parameters": {}, "strict": False}
LARK = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/s"}
PATCH = {"type": "custom", "name": "apply_patch", "description": "改文件", "format": LARK}
DEMO = {"type": "namespace", "name": "mcp__demo", "description": "演示", "tools": [ADD, WEATHER]}
SEARCH = {"type": "web_search", "external_web_access": False}
# As Codex 0.171 sends them, without and with the metadata of a model that it knows.
CODEX = [ADD, DEMO, SEARCH]
CODEX_GPT = [ADD, PATCH, {"type": "tool_search", "execution": "client"}, SEARCH]


def request_of(**fields: Any) -> ResponseRequest:
    return ResponseRequest.model_validate({"input": "你好"} | fields)


def functions(*tools: Any) -> dict[str, Any]:
    """The functions that chat offers for ``tools``, by name."""
    offered = chat_request(request_of(tools=list(tools)), []).tools or []
    return {tool.function.name: tool.function for tool in offered}


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        (CODEX, ["add", "mcp__demo.add", "mcp__demo.weather"]),
        (CODEX_GPT, ["add", "apply_patch"]),
        ([DEMO | {"tools": [PATCH]}], ["mcp__demo.apply_patch"]),
        ([DEMO | {"tools": []}], []),
        ([DEMO | {"name": "工具", "description": None}], ["工具.add", "工具.weather"]),
        ([ADD, ADD], ["add"]),
        ([ADD, {"type": "image_generation", "output_format": "png"}], ["add"]),
        ([{"type": "web_search_preview_2025_03_11"}, ADD], ["add"]),
        ([{"type": "web_search_2025_08_26"}, ADD], ["add"]),
    ],
)
def test_what_the_model_is_offered(tools: list[Any], names: list[str]) -> None:
    assert list(functions(*tools)) == names


def test_a_namespace_is_described_once() -> None:
    found = functions(DEMO | {"tools": [WEATHER, ADD]})
    assert found["mcp__demo.weather"].description == "演示\n\n天气"
    assert found["mcp__demo.add"].description is None
    assert found["mcp__demo.weather"].parameters == CITY


@pytest.mark.parametrize(
    ("form", "description", "schema", "strict"),
    [
        (None, "改文件", {"type": "string"}, None),
        ({"type": "text"}, "改文件", {"type": "string"}, None),
        (LARK, "改文件\n\nGrammar of input (lark):\nstart: /.+/s", {"type": "string"}, None),
        (
            {"type": "grammar", "syntax": "regex", "definition": "a|b"},
            "改文件\n\nGrammar of input (regex):\na|b",
            {"type": "string", "pattern": "^(?:a|b)$"},
            True,
        ),
    ],
)
def test_a_custom_tool_is_a_function_of_one_text(
    form: Any, description: str, schema: dict[str, str], strict: bool | None
) -> None:
    found = functions(PATCH | {"format": form})["apply_patch"]
    assert (found.description, found.strict) == (description, strict)
    assert found.parameters == {
        "type": "object",
        "properties": {"input": schema},
        "required": ["input"],
    }


def test_the_response_has_the_tools_that_the_model_was_offered() -> None:
    response = new_response(request_of(tools=[*CODEX, PATCH]), created_at=7, model="m")
    found = official.Response.model_validate_json(response.model_dump_json())
    assert [tool.type for tool in found.tools] == ["function", "namespace", "custom"]


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({"type": "function", "name": "add"}, "add"),
        ({"type": "function", "name": "add", "namespace": "mcp__demo"}, "mcp__demo.add"),
        ({"type": "function", "name": "mcp__demo.add"}, "mcp__demo.add"),
        ({"type": "function", "name": "weather"}, "mcp__demo.weather"),
        ({"type": "custom", "name": "apply_patch"}, "apply_patch"),
        ({"type": "function", "name": "nothing"}, "nothing"),
    ],
)
def test_a_tool_may_be_chosen(choice: Any, name: str) -> None:
    tools = [*CODEX, PATCH]
    chat = chat_request(request_of(tools=tools, tool_choice=choice), [])
    assert chat.model_dump()["tool_choice"]["function"] == {"name": name}
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [SEARCH, choice]}
    chat = chat_request(request_of(tools=tools, tool_choice=allowed), [])
    (found,) = chat.model_dump()["tool_choice"]["allowed_tools"]["tools"]
    assert found["function"] == {"name": name}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [SEARCH]}, "tools[0].type"),
        ({"tools": [SEARCH, {"type": "image_generation"}]}, "tools[0].type"),
        (
            {
                "tools": CODEX,
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [SEARCH]},
            },
            "tool_choice.tools[0].type",
        ),
        ({"tools": [ADD | {"name": "mcp__demo.add"}, DEMO]}, "tools"),
        ({"tools": [PATCH, ADD | {"name": "apply_patch"}]}, "tools"),
    ],
)
def test_what_cannot_be_offered(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        chat_request(request_of(**fields), [])
    assert caught.value.param == param
    assert param in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [ADD, {"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        {"tools": [ADD, {"type": "mcp", "server_label": "x", "server_url": "http://x"}]},
        {"tools": [ADD, {"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"tools": [ADD, {"type": "computer"}]},
        {"tools": [ADD, {"type": "local_shell"}]},
        {"tools": [ADD, {"type": "websearch"}]},
        {"tools": [ADD, {"type": ["web_search"]}]},
        {"tools": [ADD, {"type": "web_search_me"}]},
        {"tools": [DEMO | {"tools": [SEARCH]}]},
        {"tools": [DEMO | {"tools": [DEMO]}]},
        {"tools": [DEMO | {"name": "长" * 127}]},
        {"tools": [PATCH | {"format": {"type": "grammar", "syntax": "x", "definition": "x"}}]},
        {"tools": CODEX, "tool_choice": SEARCH},
        {"tools": CODEX, "tool_choice": {"type": "web_search_preview"}},
        {"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]},
    ],
)
def test_what_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        request_of(**fields)


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("add", '{"a": 1}', {"type": "function_call", "name": "add", "arguments": '{"a": 1}'}),
    (
        "mcp__demo.weather",
        '{"城市": "北京"}',
        {
            "type": "function_call",
            "name": "weather",
            "namespace": "mcp__demo",
            "arguments": '{"城市": "北京"}',
        },
    ),
    (
        "apply_patch",
        '{"input": "*** Begin\\n+你好"}',
        {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin\n+你好"},
    ),
    (
        "other.apply_patch",
        '{"input": "x"}',
        {
            "type": "custom_tool_call",
            "name": "apply_patch",
            "namespace": "other",
            "input": "x",
        },
    ),
    ("nothing.there", "{}", {"type": "function_call", "name": "nothing.there", "arguments": "{}"}),
]
TOOLS = [*CODEX, PATCH, {"type": "namespace", "name": "other", "tools": [PATCH]}]
UNFINISHED = [("add", '{"a": ', '{"a": '), ("apply_patch", '{"input": "*** Be', "")]


def started() -> ResponseReply:
    return new_response(request_of(tools=TOOLS), created_at=7, model="m")


def whole_reply(name: str, arguments: str, reason: str = "tool_calls") -> Any:
    """The item of a call in a whole reply, as the official client reads it."""
    calls = [{"id": "call_1", "function": {"name": name, "arguments": arguments}}]
    message = {"content": None, "tool_calls": calls}
    reply = ChatReply.model_validate(
        {
            "id": "chatcmpl-1",
            "created": 7,
            "model": "m",
            "choices": [{"message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
        }
    )
    response = add_reply(started(), reply)
    (item,) = official.Response.model_validate_json(response.model_dump_json()).output
    return item


def streamed(name: str, arguments: str, reason: str = "tool_calls") -> list[Any]:
    """The events of a call whose arguments come in two pieces."""

    async def source() -> AsyncGenerator[ChatChunk, None]:
        half = len(arguments) // 2
        begun = {"index": 0, "id": "call_1", "function": {"name": name, "arguments": ""}}
        rest = [{"index": 0, "function": {"arguments": arguments[:half]}}]
        rest += [{"index": 0, "function": {"arguments": arguments[half:]}}]
        choices: list[Any] = [{"delta": {"tool_calls": [one]}} for one in [begun, *rest]]
        for choice in [*choices, {"delta": {}, "finish_reason": reason}]:
            body = {"id": "chatcmpl-1", "created": 7, "model": "m", "choices": [choice]}
            yield ChatChunk.model_validate(body)

    async def collect() -> list[Any]:
        stream = response_events(source(), EventWriter(started()), on_end=lambda _: None)
        return [EVENT.validate_json(event.model_dump_json()) async for event in stream]

    return asyncio.run(collect())


@pytest.mark.parametrize(("name", "arguments", "expected"), CALLS)
def test_a_call_is_named_as_its_tool(name: str, arguments: str, expected: Any) -> None:
    for item in (whole_reply(name, arguments), streamed(name, arguments)[-1].response.output[0]):
        found = item.model_dump(exclude_none=True)
        assert found.pop("id").startswith("ctc_" if "input" in expected else "fc_")
        assert found == {"call_id": "call_1", "status": "completed", **expected}


@pytest.mark.parametrize(("name", "arguments", "expected"), CALLS)
def test_an_earlier_call_is_named_as_its_function(name: str, arguments: str, expected: Any) -> None:
    kind = expected["type"]
    items = [
        expected | {"call_id": "c1"},
        {"type": f"{kind}_output", "call_id": "c1", "output": "好"},
    ]
    called, result = chat_request(request_of(input=items), []).messages
    assert [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in called.tool_calls or ()
    ] == [("c1", name, json.loads(arguments))]
    assert (result.role, result.tool_call_id, result.text) == ("tool", "c1", "好")


def test_events_of_free_input() -> None:
    events = streamed("apply_patch", '{"input": "*** Begin\\n+你好"}')
    assert [event.type for event in events[2:-1]] == [
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
    ]
    added, delta, done, finished = events[2:-1]
    assert (added.item.input, added.item.status) == ("", "in_progress")
    assert delta.delta == done.input == finished.item.input == "*** Begin\n+你好"
    assert {added.item.id, delta.item_id, done.item_id, finished.item.id} == {added.item.id}
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize(("name", "arguments", "left"), UNFINISHED)
def test_a_call_that_was_cut(name: str, arguments: str, left: str) -> None:
    """Half of a patch must not be applied."""
    item = whole_reply(name, arguments, reason="length")
    last = streamed(name, arguments, reason="length")[-1].response.output[0]
    for found in (item, last):
        assert found.status == "incomplete"
        assert (found.input if name == "apply_patch" else found.arguments) == left


def test_an_input_that_is_no_text() -> None:
    assert whole_reply("apply_patch", '{"input": [1]}').input == "[1]"
    assert whole_reply("apply_patch", "{}").input == ""


@pytest.mark.parametrize("kind", ["function_call", "custom_tool_call"])
def test_a_result_needs_a_call_before_it(kind: str) -> None:
    result = {"type": f"{kind}_output", "call_id": "c1", "output": "好"}
    with pytest.raises(InvalidRequestError, match=f"no {kind} with call_id 'c1'") as caught:
        chat_request(request_of(input=[result]), [])
    assert caught.value.param == "input[0].call_id"
    for earlier in (
        FunctionCall(call_id="c1", name="add", arguments="{}"),
        CustomToolCall(call_id="c1", name="apply_patch", input="x"),
    ):
        assert len(chat_request(request_of(input=[result]), [earlier]).messages) == 2
