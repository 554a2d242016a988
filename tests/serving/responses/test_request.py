"""Requests for responses as requests for chat."""

from typing import Any

import pytest
from pydantic import ValidationError

from glm3edge.errors import (
    ContextLengthExceededError,
    InvalidRequestError,
    RequestError,
)
from glm3edge.schema.response_items import (
    FunctionCall,
    InputMessage,
    ItemReference,
    OutputMessage,
)
from glm3edge.schema.responses import ResponseRequest
from glm3edge.serving.responses.request import chat_request, translate_error

WEATHER = {"name": "weather", "description": "天气", "parameters": {"type": "object"}}
CALL = {
    "type": "function_call",
    "call_id": "c1",
    "name": "weather",
    "arguments": '{"city": "北京"}',
}
HELLO = {"role": "user", "content": "你好"}
KIND = "item_reference"
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "22 度"}


def translated(*, earlier: Any = (), **fields: Any) -> dict[str, Any]:
    """What the chat request says, in OpenAI's words."""
    request = ResponseRequest.model_validate({"input": "你好"} | fields)
    chat = chat_request(request, earlier)
    return chat.model_dump(exclude_none=True, by_alias=True)


def text(content: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": content}]


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ("你好", [{"role": "user", "content": text("你好")}]),
        (
            [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好"}],
            [
                {"role": "user", "content": text("你好")},
                {"role": "assistant", "content": text("您好")},
            ],
        ),
        (
            [
                {
                    "type": "message",
                    "role": "developer",
                    "content": [
                        {"type": "input_text", "text": "简短"},
                        {"type": "input_text", "text": "回答"},
                    ],
                }
            ],
            [{"role": "developer", "content": text("简短") + text("回答")}],
        ),
        (
            [
                {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "status": None,
                    "content": [
                        {"type": "output_text", "text": "好", "annotations": [], "logprobs": None}
                    ],
                }
            ],
            [{"role": "assistant", "content": text("好")}],
        ),
        (
            [{"role": "user", "content": "天气?"}, CALL, RESULT],
            [
                {"role": "user", "content": text("天气?")},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city": "北京"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": text("22 度")},
            ],
        ),
        (
            [CALL, RESULT | {"output": [{"type": "input_text", "text": "晴"}], "id": None}],
            [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city": "北京"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": text("晴")},
            ],
        ),
    ],
)
def test_items_are_messages(items: Any, messages: list[Any]) -> None:
    assert translated(input=items)["messages"] == messages


def test_instructions_come_first_and_what_was_said_earlier_before_the_input() -> None:
    earlier = [InputMessage(role="user", content="一"), OutputMessage(content="二")]  # type: ignore[arg-type]
    messages = translated(input="三", instructions="简短回答", earlier=earlier)["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == "简短回答"
    assert [message["content"] for message in messages[1:]] == [text("一"), text("二"), text("三")]


@pytest.mark.parametrize(
    ("fields", "chat"),
    [
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
        ({"max_output_tokens": 7}, {"max_completion_tokens": 7}),
        ({"top_k": 3, "seed": 1}, {"top_k": 3, "seed": 1}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        (
            {"tools": [{"type": "function", "strict": True} | WEATHER], "tool_choice": "required"},
            {
                "tools": [{"type": "function", "function": {"strict": True} | WEATHER}],
                "tool_choice": "required",
            },
        ),
        (
            {"tool_choice": {"type": "function", "name": "weather"}},
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        ),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "weather"}],
                }
            },
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "required",
                        "tools": [{"type": "function", "function": {"name": "weather"}}],
                    },
                }
            },
        ),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"text": {"format": {"type": "text"}}}, {"response_format": {"type": "text"}}),
        (
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {
                "text": {
                    "format": {"type": "json_schema", "name": "x", "schema": {}, "strict": True},
                    "verbosity": "low",
                }
            },
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {}, "strict": True},
                }
            },
        ),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"truncation": "auto"}, {"truncation": "auto"}),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        (
            {
                "include": ["reasoning.encrypted_content"],
                "reasoning": {"effort": "low"},
                "background": False,
                "conversation": None,
                "metadata": {"a": "b"},
                "something": "new",
                "tools": [],
            },
            {},
        ),
    ],
)
def test_fields(fields: dict[str, Any], chat: dict[str, Any]) -> None:
    found = translated(**fields)
    del found["messages"]
    expected = {"model": "", "logprobs": False, "continue_final_message": False}
    assert expected | chat == found


def test_a_tool_has_no_field_that_chat_lacks() -> None:
    (tool,) = translated(tools=[{"type": "function"} | WEATHER])["tools"]
    assert tool == {"type": "function", "function": WEATHER}


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"input": []}, ("input",)),
        ({"input": [3]}, ("input", 0)),
        ({"input": [{"type": "item_reference"}]}, ("id",)),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, ("input", 0)),
        ({"input": [{"type": "web_search_call", "id": "x"}]}, ("input", 0)),
        ({"input": [{"type": ["message"]}]}, ("input", 0)),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, ("type",)),
        ({"input": [{"role": "assistant", "content": [{"type": "refusal"}]}]}, ("text",)),
        ({"input": [{"role": "tool", "content": "x"}]}, ("role",)),
        ({"input": [CALL | {"arguments": {"city": "北京"}}]}, ("arguments",)),
        ({"input": [CALL | {"arguments": None}]}, ("arguments",)),
        ({"input": [RESULT | {"output": [{"type": "input_file"}]}]}, ("type",)),
        ({"tools": [{"type": "computer"}]}, ("type",)),
        ({"tool_choice": {"type": "file_search"}}, ("type",)),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, ("tools",)),
        ({"tool_choice": {"type": "allowed_tools", "mode": "none", "tools": [{}]}}, ("mode",)),
        ({"max_tool_calls": 0}, ("max_tool_calls",)),
        ({"truncation": "oldest"}, ("truncation",)),
        ({"background": True}, ("background",)),
        ({"conversation": "conv_1"}, ("conversation",)),
        ({"prompt": {"id": "p"}}, ("prompt",)),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, ("schema",)),
    ],
)
def test_what_is_refused(fields: dict[str, Any], location: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        ResponseRequest.model_validate({"input": "x"} | fields)
    locations = [error["loc"] for error in caught.value.errors()]
    assert any(found[-len(location) :] == location for found in locations), locations


def test_a_result_needs_a_call_before_it() -> None:
    earlier = [FunctionCall(call_id="c1", name="weather", arguments="{}")]
    assert translated(input=[RESULT], earlier=earlier)["messages"][1]["role"] == "tool"
    for items in ([RESULT, CALL], [CALL, RESULT | {"call_id": "c2"}]):
        with pytest.raises(InvalidRequestError, match="no function_call with call_id") as caught:
            translated(input=items)
        assert caught.value.param in ("input[0].call_id", "input[1].call_id")


@pytest.mark.parametrize(
    ("error", "param", "message"),
    [
        (
            InvalidRequestError("messages[3]: too deep", param="messages[3]"),
            "input",
            "input: too deep",
        ),
        (
            InvalidRequestError("response_format cannot be followed: x", param="response_format"),
            "text.format",
            "text.format cannot be followed: x",
        ),
        (InvalidRequestError("tools: x", param="tools"), "tools", "tools: x"),
        (InvalidRequestError("no field"), None, "no field"),
    ],
)
def test_errors_blame_the_fields_that_were_sent(
    error: RequestError, param: str | None, message: str
) -> None:
    told = translate_error(error)
    assert (told.param, str(told)) == (param, message)


def test_a_context_that_is_too_small_keeps_its_numbers() -> None:
    error = ContextLengthExceededError(
        num_prompt_tokens=5, num_new_tokens=6, context_size=10, param="messages"
    )
    told = translate_error(error)
    assert isinstance(told, ContextLengthExceededError)
    assert (told.param, told.num_prompt_tokens, told.context_size) == ("input", 5, 10)
    assert "messages" not in str(told)


@pytest.mark.parametrize("status", [{}, {"status": "incomplete"}, {"status": "in_progress"}])
@pytest.mark.parametrize("arguments", ['{"ci', "", "[1]", "[" * 100_000, "城市"])
def test_a_call_that_was_cut_is_passed_on(status: dict[str, str], arguments: str) -> None:
    cut = CALL | status | {"arguments": arguments}
    for more, roles in (([], []), ([RESULT], ["tool"]), ([HELLO], ["user"])):
        messages = translated(input=[cut, *more])["messages"]
        assert [message["role"] for message in messages] == ["assistant", *roles]
        assert messages[0]["tool_calls"][0]["function"]["arguments"] == arguments
    assert translated(input=[RESULT], earlier=[FunctionCall.model_validate(cut)])


REASONING: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [], "content": None}


@pytest.mark.parametrize(
    "reasoning",
    [
        REASONING,
        {"type": "reasoning"},
        REASONING | {"summary": [{"type": "summary_text", "text": "想"}], "status": "completed"},
        REASONING | {"content": [{"type": "reasoning_text", "text": "想"}]},
        REASONING | {"encrypted_content": "eA==", "status": None},
    ],
)
def test_reasoning_is_dropped(reasoning: dict[str, Any]) -> None:
    answer = {"role": "assistant", "content": "好"}
    plain = translated(input=[HELLO, answer, CALL, RESULT])
    assert translated(input=[HELLO, reasoning, answer, reasoning, CALL, RESULT]) == plain
    with pytest.raises(InvalidRequestError, match="only reasoning"):
        translated(input=[reasoning])


def test_a_refusal_is_text() -> None:
    parts = [{"type": "refusal", "refusal": "不行"}]
    (message,) = translated(input=[{"role": "assistant", "content": parts}])["messages"]
    assert message["content"] == text("不行")


def test_an_id_alone_is_a_reference() -> None:
    for given in ({"id": "msg_1"}, {"id": "msg_1", "type": None}, {"id": "msg_1", "type": KIND}):
        (item,) = ResponseRequest.model_validate({"input": [given]}).input
        assert item == ItemReference(id="msg_1")


def test_the_last_message_is_never_continued() -> None:
    """OpenAI's API has no such thing."""
    assert (
        translated(input=[HELLO, {"role": "assistant", "content": "我"}])["continue_final_message"]
        is False
    )


def with_nulls(given: Any, names: set[str]) -> Any:
    if isinstance(given, list):
        return [with_nulls(one, names) for one in given]
    if not isinstance(given, dict):
        return given
    added = dict.fromkeys(names) if given.keys() & {"type", "role"} else {}
    return added | {name: with_nulls(value, names) for name, value in given.items()}


def test_null_equals_absent_everywhere() -> None:
    answer = {"role": "assistant", "content": [{"type": "output_text", "text": "好"}]}
    choice = {"type": "function", "name": "weather"}
    plain = {
        "input": [{"role": "user", "content": "你好"}, answer, CALL, RESULT],
        "tools": [{"type": "function", "name": "weather"}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [choice]},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"default": None}}},
    }
    names = {
        "id",
        "status",
        "annotations",
        "logprobs",
        "phase",
        "strict",
        "description",
        "parameters",
    }
    nulls = dict.fromkeys(ResponseRequest.model_fields)
    assert translated(**{**nulls, **with_nulls(plain, names)}) == translated(**plain)
