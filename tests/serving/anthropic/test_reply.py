"""Chat replies as messages, chunks as events."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from glm3edge.schema.base import EventModel, PromptTokensDetails, Usage
from glm3edge.schema.chat import ChatChunk, ChatReply
from glm3edge.serving.anthropic.reply import message, message_events

USAGE = Usage(
    prompt_tokens=9,
    completion_tokens=3,
    total_tokens=12,
    prompt_tokens_details=PromptTokensDetails(cached_tokens=5),
)
MESSAGE_USAGE = {
    "input_tokens": 4,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 5,
    "output_tokens": 3,
}


def call(number: int, arguments: str = '{"city": "北京"}') -> dict[str, Any]:
    function = {"name": "weather", "arguments": arguments}
    return {"index": number, "id": f"call_{number}", "function": function}


def piece(number: int, arguments: str) -> dict[str, Any]:
    return {"index": number, "function": {"arguments": arguments}}


def block(number: int, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"call_{number}", "name": "weather", **fields}


def plain(message_fields: dict[str, Any], **fields: Any) -> dict[str, Any]:
    choice = {"message": message_fields, "finish_reason": "stop", **fields}
    body = {"id": "chatcmpl-1", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}
    return message(ChatReply.model_validate(body)).model_dump()


@pytest.mark.parametrize(
    ("content", "calls", "expected"),
    [
        ("你好", None, [{"type": "text", "text": "你好"}]),
        ("", None, []),
        (None, [call(0)], [block(0, input={"city": "北京"})]),
        (None, [call(0, '{"city": "北京", "da')], [block(0, input={"city": "北京"})]),
        (None, [call(0, '{"ci')], [block(0, input={})]),
        (None, [call(0, "")], [block(0, input={})]),
        (None, [call(0, '{"a": ' + "[" * 5000)], [block(0, input={})]),
        (None, [call(0, '{"a": "\\ud83d"}')], [block(0, input={"a": "?"})]),
        (
            "查",
            [call(0), call(1)],
            [
                {"type": "text", "text": "查"},
                block(0, input={"city": "北京"}),
                block(1, input={"city": "北京"}),
            ],
        ),
    ],
)
def test_content(content: str | None, calls: Any, expected: list[dict[str, Any]]) -> None:
    assert plain({"content": content, "tool_calls": calls})["content"] == expected


@pytest.mark.parametrize(
    ("reason", "stop_string", "expected"),
    [
        ("stop", None, ("end_turn", None)),
        ("stop", "。", ("stop_sequence", "。")),
        ("length", None, ("max_tokens", None)),
        ("tool_calls", None, ("tool_use", None)),
        ("tool_calls", "。", ("tool_use", None)),
    ],
)
def test_stop_reasons(reason: str, stop_string: str | None, expected: tuple[Any, ...]) -> None:
    reply = plain({"content": "好"}, finish_reason=reason, stop_string=stop_string)
    assert (reply["stop_reason"], reply["stop_sequence"]) == expected
    (delta, _) = streamed({"content": "好"}, reason=reason, stop_string=stop_string)[-2:]
    assert (delta["delta"]["stop_reason"], delta["delta"]["stop_sequence"]) == expected


def test_the_rest_of_a_message() -> None:
    reply = plain({"content": "好"})
    assert (reply["id"], reply["type"], reply["role"]) == ("msg_1", "message", "assistant")
    assert reply["usage"] == MESSAGE_USAGE


async def chunks(
    *deltas: dict[str, Any], reason: str, stop_string: str | None, left: list[str]
) -> AsyncGenerator[ChatChunk, None]:
    """A stream as ``ChatService`` makes it; ``left`` is told when it is closed."""
    choices: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": ""}}]
    choices += [{"delta": delta} for delta in deltas]
    choices += [{"delta": {}, "finish_reason": reason, "stop_string": stop_string}]
    body: dict[str, Any] = {"id": "chatcmpl-1", "created": 1, "model": "m"}
    try:
        for choice in choices:
            yield ChatChunk.model_validate(body | {"choices": [choice]})
        yield ChatChunk.model_validate(body | {"choices": [], "usage": USAGE})
    finally:
        left.append("closed")


def streamed(
    *deltas: dict[str, Any], reason: str = "stop", stop_string: str | None = None
) -> list[dict[str, Any]]:
    async def collect() -> list[EventModel]:
        source = chunks(*deltas, reason=reason, stop_string=stop_string, left=[])
        return [event async for event in message_events(source, num_prompt_tokens=9)]

    return [json.loads(event.model_dump_json()) for event in asyncio.run(collect())]


def brief(events: list[dict[str, Any]]) -> list[Any]:
    """Blocks as (index, what begins, what comes, ...)."""
    blocks: list[Any] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append([event["index"], event["content_block"]])
        elif event["type"] == "content_block_delta":
            assert event["index"] == blocks[-1][0]
            delta = event["delta"]
            blocks[-1].append(delta.get("text") or delta.get("partial_json"))
        elif event["type"] == "content_block_stop":
            assert event["index"] == blocks[-1][0]
            blocks[-1] = tuple(blocks[-1])  # nothing can be added to it any more
    return blocks


EMPTY_TEXT = {"type": "text", "text": ""}
INPUT = '{"city": "北京"}'


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([], []),
        ([{"content": "你"}, {"content": "好"}], [(0, EMPTY_TEXT, "你", "好")]),
        ([{"tool_calls": [call(0)]}], [(0, block(0, input={}), INPUT)]),
        (
            [{"content": "查"}, {"tool_calls": [call(0)]}, {"tool_calls": [call(1)]}],
            [
                (0, EMPTY_TEXT, "查"),
                (1, block(0, input={}), INPUT),
                (2, block(1, input={}), INPUT),
            ],
        ),
        (
            [{"tool_calls": [call(0)]}, {"content": "\n等"}, {"content": "等"}],
            [(0, block(0, input={}), INPUT), (1, EMPTY_TEXT, "\n等", "等")],
        ),
        (
            [
                {"content": "查"},
                {"tool_calls": [call(0, "")]},
                {"tool_calls": [piece(0, '{"city": "北')]},
                {"tool_calls": [piece(0, '京"}')]},
                {"tool_calls": [call(1, "")]},
                {"tool_calls": [piece(1, "{")]},
            ],
            [
                (0, EMPTY_TEXT, "查"),
                (1, block(0, input={}), '{"city": "北', '京"}'),
                (2, block(1, input={}), "{"),
            ],
        ),
    ],
)
def test_blocks(deltas: list[dict[str, Any]], expected: list[Any]) -> None:
    assert brief(streamed(*deltas)) == expected


def test_what_surrounds_the_blocks() -> None:
    first, ping, *_, delta, last = streamed({"content": "好"})
    assert first["type"] == "message_start"
    assert (first["message"]["id"], first["message"]["content"]) == ("msg_1", [])
    assert first["message"]["stop_reason"] is None
    assert first["message"]["usage"] == {
        "input_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }
    assert ping == {"type": "ping"}
    assert (delta["type"], delta["usage"]) == ("message_delta", MESSAGE_USAGE)
    assert last == {"type": "message_stop"}


def test_leaving_closes_the_source() -> None:
    left: list[str] = []

    async def leave() -> None:
        source = chunks({"content": "好"}, reason="stop", stop_string=None, left=left)
        events = message_events(source, num_prompt_tokens=9)
        await anext(events)
        await events.aclose()
        assert left == ["closed"]

    asyncio.run(leave())
