"""Chat replies as responses, checked with the official client's own models."""

from typing import Any

import pytest
from openai.types import responses as official

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatReply
from glm3edge.schema.response_items import InputMessage
from glm3edge.schema.responses import ResponseReply, ResponseRequest
from glm3edge.serving.responses.reply import add_reply, new_response, page

SCHEMA = {"type": "object", "properties": {}}
FORMAT = {
    "type": "json_schema",
    "name": "x",
    "description": None,
    "schema": SCHEMA,
    "strict": True,
}
ALLOWED = {
    "type": "allowed_tools",
    "mode": "auto",
    "tools": [{"type": "function", "name": "x"}],
}
CALLS = [
    {"id": "call_1", "function": {"name": "weather", "arguments": '{"city": "北京"}'}},
    {"id": "call_2", "function": {"name": "weather", "arguments": "{}"}},
]
LOGPROBS = [
    {"token": "好", "logprob": -0.5, "bytes": list("好".encode()), "top_logprobs": []},
]


def start(**fields: Any) -> ResponseReply:
    request = ResponseRequest.model_validate({"input": "你好"} | fields)
    return new_response(request, created_at=7, model="m")


def replied(
    content: str | None, *, calls: Any = None, reason: str = "stop", logprobs: Any = None
) -> ChatReply:
    return ChatReply.model_validate(
        {
            "id": "chatcmpl-1",
            "created": 7,
            "model": "m",
            "choices": [
                {
                    "message": {"content": content, "tool_calls": calls},
                    "finish_reason": reason,
                    "logprobs": logprobs,
                }
            ],
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 3,
                "total_tokens": 8,
                "prompt_tokens_details": {"cached_tokens": 2},
            },
        }
    )


def parsed(reply: ResponseReply) -> official.Response:
    return official.Response.model_validate_json(reply.model_dump_json())


def test_text() -> None:
    found = parsed(add_reply(start(), replied("您好")))
    assert found.output_text == "您好"
    assert (found.status, found.incomplete_details, found.error) == ("completed", None, None)
    (message,) = found.output
    assert isinstance(message, official.ResponseOutputMessage)
    assert message.id.startswith("msg_")
    assert message.status == "completed"
    assert found.usage is not None
    assert found.usage.model_dump(exclude_none=True) == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 8,
    }


@pytest.mark.parametrize(
    ("content", "calls", "types"),
    [
        ("", None, ["message"]),
        (None, CALLS, ["function_call", "function_call"]),
        ("好的", CALLS[:1], ["message", "function_call"]),
    ],
)
def test_items(content: str | None, calls: Any, types: list[str]) -> None:
    found = parsed(add_reply(start(), replied(content, calls=calls, reason="tool_calls")))
    assert [item.type for item in found.output] == types
    assert found.output_text == (content or "")
    if calls:
        call = found.output[-len(calls)]
        assert isinstance(call, official.ResponseFunctionToolCall)
        assert (call.call_id, call.name) == ("call_1", "weather")
        assert call.arguments == '{"city": "北京"}'
        assert call.id is not None
        assert call.id.startswith("fc_")
        assert call.status == "completed"


# Those that Open Responses' schema requires, which clients made from it do not start without.
REQUIRED = {
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model"),
    *("previous_response_id", "instructions", "output", "error", "tools", "tool_choice"),
    *("truncation", "parallel_tool_calls", "text", "top_p", "presence_penalty", "user"),
    *("frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage", "store"),
    *("max_output_tokens", "max_tool_calls", "background", "service_tier", "metadata"),
    *("safety_identifier", "prompt_cache_key"),
}


def test_no_required_field_is_missing() -> None:
    for response in (start(), add_reply(start(), replied("好"))):
        assert response.model_dump(mode="json").keys() >= REQUIRED
    (message,) = add_reply(start(), replied("好")).model_dump(mode="json")["output"]
    assert message["content"] == [
        {"type": "output_text", "text": "好", "annotations": [], "logprobs": []}
    ]


def test_a_schema_s_format_says_whether_it_is_strict() -> None:
    for given, told in (({}, False), ({"strict": None}, False), ({"strict": True}, True)):
        wanted = {"type": "json_schema", "name": "x", "schema": SCHEMA, **given}
        found = start(text={"format": wanted}).model_dump(mode="json")["text"]["format"]
        assert found == FORMAT | {"strict": told}


def test_when_it_was_completed() -> None:
    whole, cut = (add_reply(start(), replied("好", reason=name)) for name in ("stop", "length"))
    assert whole.completed_at is not None
    assert whole.completed_at >= whole.created_at
    assert start().completed_at is cut.completed_at is None


def test_a_reply_that_was_cut() -> None:
    found = parsed(add_reply(start(max_output_tokens=3), replied("从前有", reason="length")))
    assert found.status == "incomplete"
    assert found.incomplete_details is not None
    assert found.incomplete_details.reason == "max_output_tokens"
    assert found.max_output_tokens == 3
    message = found.output[0]
    assert isinstance(message, official.ResponseOutputMessage)
    assert message.status == "incomplete"


def test_logprobs() -> None:
    found = parsed(add_reply(start(), replied("好", logprobs={"content": LOGPROBS})))
    message = found.output[0]
    assert isinstance(message, official.ResponseOutputMessage)
    part = message.content[0]
    assert isinstance(part, official.ResponseOutputText)
    assert part.logprobs is not None
    assert [token.to_dict() for token in part.logprobs] == LOGPROBS


@pytest.mark.parametrize(
    ("field", "value", "unless_given"),
    [
        ("instructions", "简短回答", None),
        ("max_output_tokens", 9, None),
        ("metadata", {"题": "目"}, {}),
        ("parallel_tool_calls", False, True),
        ("previous_response_id", "resp_1", None),
        ("store", False, True),
        ("temperature", 0.0, 0.8),
        ("text", {"format": {"type": "json_object"}}, {"format": {"type": "text"}}),
        (
            "text",
            {"format": FORMAT},
            {"format": {"type": "text"}},
        ),
        ("tool_choice", "required", "auto"),
        ("tool_choice", {"type": "function", "name": "x"}, "auto"),
        ("tool_choice", ALLOWED, "auto"),
        (
            "tools",
            [
                {
                    "type": "function",
                    "name": "x",
                    "description": "描述",
                    "parameters": SCHEMA,
                    "strict": True,
                }
            ],
            [],
        ),
        ("top_logprobs", 2, 0),
        ("presence_penalty", 0.5, 0.0),
        ("frequency_penalty", -0.5, 0.0),
        ("max_tool_calls", 3, None),
        ("prompt_cache_key", "k", None),
        ("safety_identifier", "s", None),
        ("reasoning", {"effort": "low", "summary": "auto"}, {"effort": None, "summary": None}),
        ("top_p", 0.0, 0.8),
        ("truncation", "auto", "disabled"),
        ("user", "我", None),
    ],
)
def test_a_response_says_what_it_was_asked_to_be(field: str, value: Any, unless_given: Any) -> None:
    for fields, expected in (({field: value}, value), ({}, unless_given)):
        reply = start(**fields)
        assert reply.model_dump(mode="json")[field] == expected
        assert getattr(parsed(reply), field) is not None or expected is None


def test_what_has_begun_is_in_progress() -> None:
    found = parsed(start())
    assert (found.status, found.output, found.usage) == ("in_progress", [], None)
    assert found.id.startswith("resp_")
    assert found.created_at == 7


def test_pages_of_items() -> None:
    items = [
        InputMessage.model_validate({"role": "user", "content": text}) for text in "一二三四五"
    ]
    ids = [item.id for item in items]
    first = page(items, after=None, limit=2, descending=True)
    assert [item.id for item in first.data] == [ids[4], ids[3]]
    assert (first.first_id, first.last_id, first.has_more) == (ids[4], ids[3], True)
    rest = page(items, after=ids[3], limit=5, descending=True)
    assert [item.id for item in rest.data] == [ids[2], ids[1], ids[0]]
    assert not rest.has_more
    forward = page(items, after=ids[0], limit=4, descending=False)
    assert [item.id for item in forward.data] == ids[1:]
    assert not forward.has_more
    assert page(items, after=ids[4], limit=1, descending=False).data == []
    with pytest.raises(InvalidRequestError, match="after"):
        page(items, after="msg_x", limit=1, descending=True)
