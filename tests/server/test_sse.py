"""Streams as bytes."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import BaseModel

from glm3edge.errors import EngineError
from glm3edge.schema.base import EventModel
from glm3edge.server import sse


class Said(EventModel):
    text: str


async def items(*texts: str, error: Exception | None = None) -> AsyncGenerator[Any, None]:
    for text in texts:
        yield Said(type="said", text=text)
    if error is not None:
        raise error


def sent(response: Any) -> bytes:
    async def collect() -> bytes:
        return b"".join([part async for part in response.body_iterator])

    return asyncio.run(collect())


def test_a_stream_ends_with_done() -> None:
    assert sent(sse.stream(items("a"))) == (b'data: {"type":"said","text":"a"}\n\ndata: [DONE]\n\n')


def test_a_failure_is_the_last_event() -> None:
    data = sent(sse.stream(items("a", error=EngineError("no memory"))))
    assert data.count(b"\n\n") == 2
    assert b'"message":"no memory"' in data
    assert b"[DONE]" not in data


def test_events_with_names() -> None:
    response = sse.named_stream(items("a", "b"), on_error=wrong)
    assert sent(response) == (
        b'event: said\ndata: {"type":"said","text":"a"}\n\n'
        b'event: said\ndata: {"type":"said","text":"b"}\n\n'
    )


def test_a_failure_among_events_with_names() -> None:
    response = sse.named_stream(items("a", error=EngineError("no memory")), on_error=wrong)
    assert sent(response).endswith(b'event: wrong\ndata: {"type":"wrong","text":"no memory"}\n\n')


def wrong(exc: Exception) -> EventModel:
    return Said(type="wrong", text=str(exc))


def test_what_comes_at_once_is_sent_at_once() -> None:
    """Tokens that the engine posts together cost one send."""

    async def collect() -> list[bytes]:
        response: Any = sse.stream(pauses())
        return [part async for part in response.body_iterator]

    async def pauses() -> AsyncGenerator[Any, None]:
        for text in "ab cd e":
            if text == " ":
                await asyncio.sleep(0.01)
            else:
                yield Said(type="said", text=text)

    parts = asyncio.run(collect())
    assert [part.count(b"data:") for part in parts] == [2, 2, 2]  # the last is [DONE]


def test_leaving_a_stream_closes_what_it_comes_from() -> None:
    closed = []

    async def endless() -> AsyncGenerator[Any, None]:
        try:
            while True:
                yield Said(type="said", text="a")
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def leave() -> None:
        response: Any = sse.stream(endless())
        await anext(response.body_iterator)
        await response.body_iterator.aclose()
        assert closed

    asyncio.run(leave())


@pytest.mark.parametrize("text", ["\x85", "\u2028", "\u2029", "\n", "\r", "\x0b\x1c"])
def test_whatever_splits_lines_leaves_an_event_whole(text: str) -> None:
    body: BaseModel = Said(type="said", text=f"a{text}b")
    lines = sse.event(body).decode().splitlines()
    assert len(lines) == 2
    assert Said.model_validate_json(lines[0].removeprefix("data: ")) == body


def test_lines_of_json() -> None:
    response = sse.json_stream(
        items("a\u2028", "b", error=EngineError("no memory")), on_error=wrong, ping=lambda: PING
    )
    assert response.media_type == "application/x-ndjson"
    assert sent(response) == (
        b'{"type":"said","text":"a\\u2028"}\n'
        b'{"type":"said","text":"b"}\n'
        b'{"type":"wrong","text":"no memory"}\n'
    )


PING = Said(type="ping", text="")


def test_a_pause_between_lines_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some clients give up when nothing comes for minutes."""
    monkeypatch.setattr(sse, "PING_SECONDS", 0.01)
    lines: list[bytes] = []
    has_sent = asyncio.Event()

    async def pause() -> AsyncGenerator[Any, None]:
        await has_sent.wait()
        yield Said(type="said", text="a")

    async def send(message: Any) -> None:
        if body := message.get("body"):
            lines.append(body)
            has_sent.set()

    async def receive() -> Any:
        await asyncio.Event().wait()

    response = sse.json_stream(pause(), on_error=wrong, ping=lambda: PING)
    asyncio.run(response({"type": "http", "method": "POST"}, receive, send))
    assert lines[0] == b'{"type":"ping","text":""}\n'
    assert lines[-1] == b'{"type":"said","text":"a"}\n'
