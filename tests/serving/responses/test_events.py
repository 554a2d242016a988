"""Chunks as events, checked with the official client's own models."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from openai.types import responses as official
from pydantic import TypeAdapter

from glm3edge.schema.base import EventModel
from glm3edge.schema.chat import ChatChunk
from glm3edge.schema.errors import ErrorDetail
from glm3edge.schema.responses import ResponseReply, ResponseRequest
from glm3edge.serving.responses.events import EventWriter, response_events
from glm3edge.serving.responses.reply import new_response

OFFICIAL: TypeAdapter[Any] = TypeAdapter(official.ResponseStreamEvent)
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
MESSAGE = [
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]
CALL = [
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]
START = ["response.created", "response.in_progress"]


def writer() -> EventWriter:
    request = ResponseRequest.model_validate({"input": "你好", "stream": True})
    return EventWriter(new_response(request, created_at=7, model="m"))


def chunk(*, delta: Any = None, reason: str | None = None, **fields: Any) -> ChatChunk:
    choice = {"delta": delta or {}, "finish_reason": reason} | fields
    body = {"id": "chatcmpl-1", "created": 7, "model": "m", "choices": [choice]}
    return ChatChunk.model_validate(body)


def say(text: str, **fields: Any) -> ChatChunk:
    return chunk(delta={"content": text}, **fields)


def call(index: int, arguments: str = '{"city": "北京"}') -> ChatChunk:
    function = {"name": "weather", "arguments": arguments}
    return chunk(
        delta={"tool_calls": [{"index": index, "id": f"call_{index}", "function": function}]}
    )


def usage() -> ChatChunk:
    body = {"id": "chatcmpl-1", "created": 7, "model": "m", "choices": [], "usage": USAGE}
    return ChatChunk.model_validate(body)


async def source(chunks: list[ChatChunk], closed: list[str]) -> AsyncGenerator[ChatChunk, None]:
    try:
        yield chunk(delta={"role": "assistant", "content": ""})
        for item in chunks:
            yield item
    finally:
        closed.append("closed")


def sent(*chunks: ChatChunk, reason: str = "stop") -> list[Any]:
    """The events of a whole stream, as the official client parses them."""

    async def collect() -> list[EventModel]:
        chunks_of = source([*chunks, chunk(reason=reason), usage()], [])
        stream = response_events(chunks_of, writer(), on_end=lambda _: None)
        return [event async for event in stream]

    events = [OFFICIAL.validate_json(event.model_dump_json()) for event in asyncio.run(collect())]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events


def types(events: list[Any]) -> list[str]:
    return [event.type for event in events]


def test_text() -> None:
    events = sent(say("您"), say("好"))
    delta = "response.output_text.delta"
    assert types(events) == [*START, *MESSAGE[:2], delta, *MESSAGE[2:], "response.completed"]
    response = events[-1].response
    assert response.output_text == "您好"
    assert response.usage.total_tokens == 8
    assert "".join(event.delta for event in events if event.type == delta) == "您好"
    (message,) = response.output
    within = [event for event in events if hasattr(event, "item_id")]
    assert {(event.item_id, event.output_index, event.content_index) for event in within} == {
        (message.id, 0, 0)
    }
    added, done = events[2].item, events[-2].item
    assert (added.status, added.content) == ("in_progress", [])
    assert done == message


def test_calls_come_after_text() -> None:
    events = sent(say("好的"), call(0), call(1, "{}"), reason="tool_calls")
    assert types(events) == [*START, *MESSAGE, *CALL, *CALL, "response.completed"]
    response = events[-1].response
    assert [item.type for item in response.output] == ["message", "function_call", "function_call"]
    added = [event for event in events if event.type == "response.output_item.added"]
    assert [event.output_index for event in added] == [0, 1, 2]
    begun_call = added[1].item
    assert (begun_call.arguments, begun_call.status) == ("", "in_progress")
    whole = response.output[1]
    assert (whole.call_id, whole.arguments) == ("call_0", '{"city": "北京"}')
    assert whole.id == begun_call.id


def test_text_after_a_call_is_a_message_of_its_own() -> None:
    events = sent(say("好的"), call(0), say("稍等"))
    assert types(events) == [*START, *MESSAGE, *CALL, *MESSAGE, "response.completed"]
    first, _, last = events[-1].response.output
    assert first.id != last.id
    assert [message.content[0].text for message in (first, last)] == ["好的", "稍等"]


def test_only_a_call() -> None:
    assert types(sent(call(0))) == [*START, *CALL, "response.completed"]


def piece(index: int, arguments: str) -> ChatChunk:
    return chunk(delta={"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})


def test_arguments_in_pieces() -> None:
    pieces = ['{"city": ', '"北京"}']
    events = sent(call(0, ""), *(piece(0, text) for text in pieces), say("等"), call(1, "{}"))
    delta = "response.function_call_arguments.delta"
    call_events = [CALL[0], delta, *CALL[1:]]
    assert types(events) == [*START, *call_events, *MESSAGE, *CALL, "response.completed"]
    first, message, second = events[-1].response.output
    assert (first.arguments, first.status) == ("".join(pieces), "completed")
    assert (second.arguments, second.status) == ("{}", "completed")
    assert message.content[0].text == "等"
    assert {e.item_id for e in events if e.type == delta} == {first.id, second.id}
    assert [e.delta for e in events if e.type == delta] == [*pieces, "{}"]


def test_a_call_that_was_cut() -> None:
    events = sent(say("查"), call(0, ""), piece(0, '{"city": "北'), reason="length")
    response = events[-1].response
    message, cut = response.output
    assert response.status == "incomplete"
    assert (message.status, cut.status, cut.arguments) == (
        "completed",
        "incomplete",
        '{"city": "北',
    )


def test_a_reply_of_nothing_is_a_message_of_nothing() -> None:
    events = sent()
    assert types(events) == [*START, *MESSAGE[:2], *MESSAGE[3:], "response.completed"]
    assert events[-1].response.output[0].content[0].text == ""


def test_a_reply_that_was_cut() -> None:
    events = sent(say("从前"), reason="length")
    assert types(events)[-1] == "response.incomplete"
    response = events[-1].response
    assert (response.status, response.incomplete_details.reason) == (
        "incomplete",
        "max_output_tokens",
    )
    assert response.output[0].status == "incomplete"


def test_logprobs_come_with_their_text_and_are_kept() -> None:
    token = {"token": "您", "logprob": -0.5, "bytes": [1], "top_logprobs": []}
    events = sent(
        say("您", logprobs={"content": [token]}), say("好", logprobs={"content": [token]})
    )
    by_type = {event.type: event for event in events}
    assert len(by_type["response.output_text.delta"].logprobs) == 1
    assert len(by_type["response.output_text.done"].logprobs) == 2
    assert len(events[-1].response.output[0].content[0].logprobs) == 2


def test_the_response_is_kept_before_the_client_has_it() -> None:
    kept: list[ResponseReply] = []

    async def run() -> None:
        stream = response_events(
            source([chunk(reason="stop"), usage()], []), writer(), on_end=kept.append
        )
        async for event in stream:
            assert bool(kept) == (event.type == "response.completed")

    asyncio.run(run())
    assert kept[0].status == "completed"


@pytest.mark.parametrize("num_read", [1, 2, 3, 5])
def test_leaving_closes_the_source(num_read: int) -> None:
    closed: list[str] = []
    kept: list[ResponseReply] = []

    async def run() -> None:
        stream = response_events(
            source([say("您"), say("好")], closed), writer(), on_end=kept.append
        )
        for _ in range(num_read):
            await anext(stream)
        await stream.aclose()
        assert closed == (["closed"] if num_read > 2 else [])  # else it had not been started

    asyncio.run(run())
    assert not kept


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("server_error", "engine_error", "server_error"),
        ("server_error", "timeout", "server_error"),
        ("rate_limit_error", "queue_full", "rate_limit_exceeded"),
    ],
)
def test_a_failure(kind: str, code: str, expected: str) -> None:
    failing = writer()
    num_events = len([*failing.start(), *failing.feed(say("好"))])
    event = failing.fail(ErrorDetail(message="坏了", type=kind, code=code))
    found = OFFICIAL.validate_json(event.model_dump_json())
    assert (found.type, found.sequence_number) == ("response.failed", num_events)
    assert found.response.status == "failed"
    assert (found.response.error.code, found.response.error.message) == (expected, "坏了")


def test_a_bug() -> None:
    event = writer().fail(
        ErrorDetail(message="internal", type="server_error", code="internal_error")
    )
    found = OFFICIAL.validate_json(event.model_dump_json())
    assert (found.type, found.code, found.message) == ("error", "internal_error", "internal")
