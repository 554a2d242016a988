"""Requests for messages as chat requests."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatRequest, Message
from glm3edge.schema.messages import Conversation, MessagesRequest
from glm3edge.serving.anthropic.errors import ThreadUnsupportedError
from glm3edge.serving.anthropic.request import chat_request, prompt_request
from glm3edge.serving.chat.continuation import continues_last_message

HELLO = {"role": "user", "content": "你好"}
WEATHER = {
    "name": "weather",
    "description": "查询天气",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "北京"}}
CALLED = {"role": "assistant", "content": [CALL]}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "晴，22 度"}
THINKING = {"type": "thinking", "thinking": "先查天气……", "signature": "c2ln"}
FALLBACK = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}, "trigger": None}
REDACTED = {"type": "redacted_thinking", "data": "ZGF0YQ=="}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content, "cache_control": {"type": "ephemeral"}}


def translated(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    return body_of(model="m", **{"messages": messages or [HELLO], **fields})


def body_of(**fields: Any) -> ChatRequest:
    return chat_request(MessagesRequest.model_validate({"max_tokens": 64, **fields}))


def said(message: Message) -> tuple[Any, ...]:
    """Role, text, calls, and the call that it answers."""
    calls = [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls or ()
    ]
    return (message.role, message.text, calls, message.tool_call_id)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([HELLO], [("user", "你好", [], None)]),
        (
            [{"role": "user", "content": [text("你"), text("好")]}],
            [("user", "你好", [], None)],
        ),
        ([{"role": "user", "content": []}], [("user", "", [], None)]),
        (
            [HELLO, {"role": "assistant", "content": "您好"}, HELLO],
            [
                ("user", "你好", [], None),
                ("assistant", "您好", [], None),
                ("user", "你好", [], None),
            ],
        ),
        (
            [HELLO, {"role": "system", "content": "简短"}],
            [("user", "你好", [], None), ("system", "简短", [], None)],
        ),
        (
            [
                {"role": "assistant", "content": [text("查一下"), CALL, CALL | {"id": "toolu_2"}]},
                {
                    "role": "user",
                    "content": [
                        text("明天"),
                        RESULT,
                        RESULT | {"tool_use_id": "toolu_2", "content": [text("阴"), text("天")]},
                        text("呢？"),
                    ],
                },
            ],
            [
                (
                    "assistant",
                    "查一下",
                    [(f"toolu_{number}", "weather", {"city": "北京"}) for number in (1, 2)],
                    None,
                ),
                ("tool", "晴，22 度", [], "toolu_1"),
                ("tool", "阴天", [], "toolu_2"),
                ("user", "明天呢？", [], None),
            ],
        ),
        (
            [CALLED, {"role": "user", "content": [RESULT | {"content": "超时", "is_error": True}]}],
            [
                ("assistant", "", [("toolu_1", "weather", {"city": "北京"})], None),
                ("tool", "超时", [], "toolu_1"),
            ],
        ),
        (
            [
                CALLED,
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]},
            ],
            [
                ("assistant", "", [("toolu_1", "weather", {"city": "北京"})], None),
                ("tool", "", [], "toolu_1"),
            ],
        ),
    ],
)
def test_messages(messages: list[dict[str, Any]], expected: list[tuple[Any, ...]]) -> None:
    assert [said(message) for message in translated(*messages).messages] == expected


@pytest.mark.parametrize("system", ["你是助手", [text("你是"), text("助手")]])
def test_the_system_prompt_comes_first(system: Any) -> None:
    first, second = translated(system=system).messages
    assert said(first) == ("system", "你是助手", [], None)
    assert second.role == "user"


def test_tools() -> None:
    request = translated(tools=[WEATHER, {"type": "custom", "name": "x", "input_schema": {}}])
    first, second = [tool.function for tool in request.tools or ()]
    assert (first.name, first.description) == ("weather", "查询天气")
    assert first.parameters == WEATHER["input_schema"]
    assert (second.name, second.description, second.strict) == ("x", None, None)


@pytest.mark.parametrize(
    ("choice", "expected", "may_call_again"),
    [
        (None, None, True),
        ({"type": "auto"}, "auto", True),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto", False),
        ({"type": "any"}, "required", True),
        ({"type": "none"}, "none", True),
        (
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
            {"type": "function", "function": {"name": "weather"}},
            False,
        ),
    ],
)
def test_tool_choices(choice: Any, expected: Any, may_call_again: bool) -> None:
    request = translated(tools=[WEATHER], tool_choice=choice)
    assert request.model_dump()["tool_choice"] == expected
    assert request.parallel_tool_calls is may_call_again


def test_options() -> None:
    request = translated(
        stop_sequences=["。"], temperature=1, top_p=0.5, top_k=3, stream=True, metadata={}
    )
    assert (request.temperature, request.top_p, request.top_k) == (1, 0.5, 3)
    assert request.stop_strings == ("。",)
    assert request.max_new_tokens == 64
    assert request.stream_options is not None
    assert request.stream_options.include_usage


@pytest.mark.parametrize(
    "thinking",
    [
        {"type": "disabled"},
        {"type": "enabled", "budget_tokens": 31_999},
        {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
        {"type": "adaptive"},
        {"type": "adaptive", "display": "summarized"},
        {"type": "between_tools"},
        {"type": "enabled", "budget_tokens": 1024, "display": None},
        {"type": "of another day"},
        None,
    ],
)
def test_thinking_is_no_matter_here(thinking: Any) -> None:
    assert translated(thinking=thinking) == translated()


@pytest.mark.parametrize(
    "blocks", [[THINKING], [REDACTED], [THINKING, REDACTED, THINKING], [FALLBACK, THINKING]]
)
def test_what_was_thought_is_dropped(blocks: list[Any]) -> None:
    for said_blocks in ([text("好")], [CALL], [text("查一下"), CALL]):
        with_thoughts = {"role": "assistant", "content": [*blocks, *said_blocks, *blocks]}
        without = {"role": "assistant", "content": said_blocks}
        assert translated(HELLO, with_thoughts, HELLO) == translated(HELLO, without, HELLO)
    alone = {"role": "assistant", "content": blocks}
    assert translated(HELLO, alone, HELLO) == translated(HELLO, HELLO)


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 1}])
@pytest.mark.parametrize(
    "content",
    ["我是", [text("我"), text("是")], [THINKING, text("我是")], [text("我是"), REDACTED]],
)
def test_a_last_message_of_the_assistants_is_continued(
    content: Any, fields: dict[str, Any]
) -> None:
    request = translated(HELLO, {"role": "assistant", "content": content}, **fields)
    assert continues_last_message(request)
    assert request.messages[-1].text == "我是"


@pytest.mark.parametrize("content", ["", [], [THINKING], [text("")]])
def test_there_may_be_nothing_to_continue(content: Any) -> None:
    assert not continues_last_message(translated(HELLO, {"role": "assistant", "content": content}))


def test_instructions_may_hold_for_one_message_only() -> None:
    once = {"role": "system", "content": "简短", "clear_at": "next_user_message"}
    always = once | {"clear_at": "never"}
    answer = {"role": "assistant", "content": "好"}
    assert translated(HELLO, once) == translated(HELLO, {"role": "system", "content": "简短"})
    assert translated(HELLO, once, answer, HELLO) == translated(HELLO, answer, HELLO)
    assert translated(HELLO, always, answer, HELLO) != translated(HELLO, answer, HELLO)
    of_no_text = {"role": "system", "output_config": {"effort": "low"}}
    assert translated(HELLO, of_no_text).messages[-1].text == ""


def test_threads_are_refused() -> None:
    for thread in ({"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}, {}):
        with pytest.raises(ThreadUnsupportedError, match=r"thread: .* send all messages"):
            translated(thread=thread)


def with_nulls(given: Any, fields: dict[str, Any]) -> Any:
    """``given`` with ``fields`` of null added to each object in it that has a type or role."""
    if isinstance(given, list):
        return [with_nulls(one, fields) for one in given]
    if not isinstance(given, dict):
        return given
    added = fields if given.keys() & {"type", "role"} else {}
    return added | {name: with_nulls(value, fields) for name, value in given.items()}


def test_null_equals_absent_everywhere() -> None:
    called = {"role": "assistant", "content": [text("查"), CALL]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]}
    plain = {
        "messages": [HELLO, called, result, HELLO],
        "tools": [{"name": "weather", "input_schema": {"default": None}}],
        "tool_choice": {"type": "auto"},
    }
    names = {
        *("cache_control", "citations", "is_error", "strict", "description", "clear_at", "caller"),
        *("disable_parallel_tool_use", "context", "display", "toolset_name", "effort"),
    }
    given = with_nulls(plain, dict.fromkeys(names))
    given["tools"] = [{**dict.fromkeys(names), "type": None, **given["tools"][0]}]
    given["messages"][2]["content"][0]["content"] = None
    nulls = dict.fromkeys(MessagesRequest.model_fields.keys() - {"max_tokens"})
    assert body_of(**{**nulls, **given}) == body_of(**plain)


def test_without_options_the_defaults_are_the_servers() -> None:
    request = translated()
    assert request.temperature is request.top_p is request.top_k is None
    assert request.stop_strings == ()


def test_json_of_a_schema() -> None:
    wanted = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    found = translated(output_config=wanted).response_format
    assert found is not None
    assert found.json_schema is not None
    assert found.json_schema.definition == {"type": "object"}
    assert translated(output_config={"effort": "low"}).response_format is None
    assert translated(output_format=wanted["format"]) == translated(output_config=wanted)


@pytest.mark.parametrize(
    ("messages", "param", "message"),
    [
        ([HELLO, CALLED], "messages[1]", "needs its tool_result"),
        ([HELLO, {"role": "assistant", "content": [CALL, text("然后")]}], "messages[1]", "result"),
        ([HELLO, {"role": "assistant", "content": "我是 "}], "messages[1]", "trailing whitespace"),
        (
            [HELLO, {"role": "assistant", "content": [text("我是\n"), THINKING]}],
            "messages[1]",
            "white",
        ),
        ([HELLO, {"role": "assistant", "content": "\u3000"}], "messages[1]", "whitespace"),
        (
            [{"role": "user", "content": [text("x"), RESULT]}, CALLED, HELLO],
            "messages[0].content[1].tool_use_id",
            "no tool_use before it",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(
    messages: list[dict[str, Any]], param: str, message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message) as caught:
        translated(*messages)
    assert caught.value.param == param
    assert param in str(caught.value)


@pytest.mark.parametrize("kind", ["web_search_20250305", "web_fetch_20260318", "advisor_20260301"])
def test_tools_of_anthropic_s_servers_are_left_out_unless_they_are_needed(kind: str) -> None:
    server_tool = {"type": kind, "name": "web", "max_uses": 8}
    for tools in ([WEATHER, server_tool], [server_tool, WEATHER]):
        assert [tool.function.name for tool in translated(tools=tools).tools or ()] == ["weather"]
    with pytest.raises(InvalidRequestError, match=f"no {kind}") as alone:
        translated(tools=[server_tool])
    assert alone.value.param == "tools[0].type"
    with pytest.raises(InvalidRequestError, match=f"no {kind}") as chosen:
        translated(tools=[WEATHER, server_tool], tool_choice={"type": "tool", "name": "web"})
    assert chosen.value.param == "tool_choice"


def test_a_conversation_that_ends_with_the_assistant_can_be_counted() -> None:
    conversation = Conversation.model_validate({"messages": [HELLO, CALLED]})
    assert [message.role for message in prompt_request(conversation).messages] == [
        "user",
        "assistant",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": None},
        {"max_tokens": 0},
        {"messages": []},
        {"temperature": 1.1},
        {"messages": [{"role": "user", "content": [THINKING]}]},
        {"stop_sequences": ["x"] * 17},
        {"tools": [{"type": "bash_20250124", "name": "bash"}]},
        {"tools": [WEATHER, {"type": "text_editor_20250728", "name": "x"}]},
        {"tools": [WEATHER, {"type": "mcp_toolset", "mcp_server_name": "x"}]},
        {"tool_choice": {"type": "tool"}},
        {"messages": [{"role": "user", "content": [CALL]}]},
        {"messages": [{"role": "assistant", "content": [RESULT]}, HELLO]},
        {"messages": [{"role": "system", "content": [RESULT]}, HELLO]},
        {"messages": [{"role": "user", "content": None}]},
        {"mcp_servers": [{"type": "url", "url": "http://x", "name": "x"}]},
        {"compaction": {"type": "summarize"}},
    ],
)
def test_what_is_no_request(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        translated(**fields)
