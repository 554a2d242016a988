"""Replies and chunks in the older forms."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from glm3edge.schema.chat import ChatChunk, ChatReply
from glm3edge.serving.legacy.reply import legacy_chunks, legacy_reply
from glm3edge.serving.legacy.request import Form

ARGUMENTS = '{"城市": "北京"}'
CALL = {"name": "查天气", "arguments": ARGUMENTS}
RAW = "查天气\n```python\ntool_call(城市='北京')\n```"


def reply(content: str | None, *calls: dict[str, Any], reason: str = "tool_calls") -> ChatReply:
    tool_calls = [{"id": f"call_{n}", "function": call} for n, call in enumerate(calls)] or None
    message = {"content": content, "tool_calls": tool_calls}
    return ChatReply.model_validate(
        {
            "id": "x",
            "created": 1,
            "model": "m",
            "choices": [{"message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
    )


@pytest.mark.parametrize(
    ("form", "content", "expected"),
    [
        (Form.FUNCTIONS, None, None),
        (Form.FUNCTIONS, "查一下", "查一下"),
        (Form.OFFICIAL, None, RAW),
        (Form.OFFICIAL, "查一下", f"查一下<|assistant|>{RAW}"),
    ],
)
def test_a_call(form: Form, content: str | None, expected: str | None) -> None:
    second = {"name": "报时", "arguments": "{}"}
    (choice,) = legacy_reply(reply(content, CALL, second), form).model_dump()["choices"]
    message = {
        "role": "assistant",
        "content": expected,
        "refusal": None,
        "function_call": CALL,
    }
    assert choice["message"] == message
    assert choice["finish_reason"] == "function_call"


@pytest.mark.parametrize("form", Form)
def test_prose_is_the_same_in_every_form(form: Form) -> None:
    whole = reply("你好", reason="stop")
    assert legacy_reply(whole, form) == whole


def test_a_reply_that_was_cut_says_so() -> None:
    (choice,) = legacy_reply(reply(None, CALL, reason="length"), Form.FUNCTIONS).choices
    assert choice.finish_reason == "length"


def deltas(form: Form, *parts: dict[str, Any] | str) -> list[Any]:
    """Deltas, and reasons where they come, of ``parts`` as chunks of one choice."""

    async def chunks() -> AsyncGenerator[ChatChunk, None]:
        for part in parts:
            choice = (
                {"delta": {}, "finish_reason": part} if isinstance(part, str) else {"delta": part}
            )
            yield ChatChunk.model_validate(
                {"id": "x", "created": 1, "model": "m", "choices": [choice]}
            )

    async def collect() -> list[ChatChunk]:
        return [chunk async for chunk in legacy_chunks(chunks(), form)]

    found = [chunk.model_dump()["choices"][0] for chunk in asyncio.run(collect())]
    return [
        (choice["delta"], choice["finish_reason"]) if choice["finish_reason"] else choice["delta"]
        for choice in found
    ]


def call_delta(function: dict[str, str], index: int = 0) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "id": f"call_{index}", "function": function}]}


ROLE = {"role": "assistant", "content": ""}


def test_functions_are_streamed_with_the_name_first() -> None:
    found = deltas(Form.FUNCTIONS, ROLE, {"content": "查"}, call_delta(CALL), "tool_calls")
    assert found == [ROLE, {"content": "查"}, {"function_call": CALL}, ({}, "function_call")]


def test_arguments_in_pieces() -> None:
    name = call_delta({"name": "weather", "arguments": ""})
    pieces = [
        {"tool_calls": [{"index": 0, "function": {"arguments": text}}]} for text in ('{"a', '": 1}')
    ]
    expected = [
        {"name": "weather", "arguments": ""},
        {"arguments": '{"a'},
        {"arguments": '": 1}'},
    ]
    found = deltas(Form.FUNCTIONS, ROLE, name, *pieces, "tool_calls")
    assert found[1:-1] == [{"function_call": function} for function in expected]
    *_, (last, _) = deltas(Form.OFFICIAL, ROLE, name, *pieces, "tool_calls")
    assert last["function_call"] == {"name": "weather", "arguments": '{"a": 1}'}


def test_a_second_call_is_left_out() -> None:
    second = call_delta({"name": "报时", "arguments": "{}"}, index=1)
    for form in (Form.FUNCTIONS, Form.OFFICIAL):
        found = deltas(form, ROLE, call_delta(CALL), second, "tool_calls")
        assert "报时" not in str(found)


@pytest.mark.parametrize(
    ("prose", "raw"), [((), RAW), (({"content": "查"},), f"<|assistant|>{RAW}")]
)
def test_the_official_form_has_the_call_in_the_last_chunk(
    prose: tuple[dict[str, Any], ...], raw: str
) -> None:
    found = deltas(Form.OFFICIAL, ROLE, *prose, call_delta(CALL), "tool_calls")
    last = ({"content": raw, "function_call": CALL}, "function_call")
    assert found == [ROLE, *prose, {}, last]


@pytest.mark.parametrize("form", Form)
def test_streamed_prose_is_the_same_in_every_form(form: Form) -> None:
    assert deltas(form, ROLE, {"content": "好"}, "stop") == [ROLE, {"content": "好"}, ({}, "stop")]


@pytest.mark.parametrize("form", Form)
def test_leaving_closes_the_stream_within(form: Form) -> None:
    closed: list[bool] = []

    async def endless() -> AsyncGenerator[ChatChunk, None]:
        try:
            while True:
                yield ChatChunk(id="x", created=1, model="m", choices=[])
        finally:
            closed.append(True)

    async def leave() -> None:
        chunks = legacy_chunks(endless(), form)
        await anext(chunks)
        await chunks.aclose()
        assert closed

    asyncio.run(leave())
