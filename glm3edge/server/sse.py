"""Streams: server-sent events for OpenAI's and Anthropic's clients, lines of JSON for Ollama's."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from pydantic import BaseModel
from sse_starlette.sse import AppStatus, EventSourceResponse

from glm3edge.errors import Glm3EdgeError
from glm3edge.schema.base import EventModel
from glm3edge.server.error_responses import describe

logger = logging.getLogger(__name__)

Body = TypeVar("Body", bound=BaseModel)

PING_SECONDS = 15
OR_JSON_LINES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/x-ndjson": {}}}}
"""``responses`` of a route whose reply is a stream of lines of JSON unless ``stream: false``."""

OR_EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
"""``responses`` of a route whose reply is a stream of events with ``stream: true``."""

_DONE = b"data: [DONE]\n\n"

# Line ends to str.splitlines, which some clients split streams with, but not to JSON.
_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}

# When the server stops, the engine ends every stream with an event that says so. The library would
# cut them off instead.
AppStatus.enable_automatic_graceful_drain = False


def json_line(body: BaseModel) -> bytes:
    """Encode ``body`` as JSON on one line, by any definition of a line."""
    text = body.model_dump_json()
    for line_end, escaped in _LINE_ENDS.items():
        text = text.replace(line_end, escaped)
    return f"{text}\n".encode()


def event(body: BaseModel) -> bytes:
    """Encode ``body`` as one event."""
    return b"data: %s\n" % json_line(body)


def named_event(body: EventModel) -> bytes:
    """Encode ``body`` as one event, named by its ``type``."""
    return f"event: {body.type}\n".encode() + event(body)


def stream(items: AsyncGenerator[BaseModel, None]) -> EventSourceResponse:
    """Response that sends ``items`` and then ``[DONE]``, as chat completions are streamed.

    An exception becomes an event with OpenAI's error body, which ends the stream. ``items`` is
    closed as soon as the client disconnects. During pauses, comments keep the connection alive.
    """
    encoded = _encoded(items, event, on_error=lambda exc: describe(exc)[1], end=_DONE)
    return _response(encoded)


def named_stream(
    items: AsyncGenerator[EventModel, None], *, on_error: Callable[[Exception], EventModel]
) -> EventSourceResponse:
    """Response that sends ``items`` as named events, and nothing after the last.

    An exception becomes the event that ``on_error`` returns; else as ``stream()``.
    """
    encoded = _encoded(items, named_event, on_error=on_error, end=b"")
    return _response(encoded)


def _response(parts: AsyncGenerator[bytes, None], **options: Any) -> EventSourceResponse:
    made = EventSourceResponse(_joined(parts), sep="\n", ping=PING_SECONDS, **options)
    del made.headers["Connection"]  # uvicorn's to say: keep-alive would be wrong in HTTP/1.0
    return made


def json_stream(
    items: AsyncGenerator[BaseModel, None],
    *,
    on_error: Callable[[Exception], BaseModel],
    ping: Callable[[], BaseModel],
) -> EventSourceResponse:
    """Response that sends ``items`` as lines of JSON, and during pauses what ``ping`` returns.

    An exception becomes the line that ``on_error`` returns; else as ``stream()``.
    """

    def make_ping() -> Any:  # an event by its type, but bytes are sent as they are
        return json_line(ping())

    return _response(
        _encoded(items, json_line, on_error=on_error, end=b""),
        media_type="application/x-ndjson",
        ping_message_factory=make_ping,
    )


async def _encoded(
    items: AsyncGenerator[Body, None],
    encode: Callable[[Body], bytes],
    *,
    on_error: Callable[[Exception], Body],
    end: bytes,
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(items):
            async for item in items:
                yield encode(item)
    except Exception as exc:
        if not isinstance(exc, Glm3EdgeError):
            logger.exception("a stream failed")
        yield encode(on_error(exc))
    else:
        if end:
            yield end


async def _joined(parts: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Join parts that are ready at once: each send is a system call, and wakes the client."""
    waiting: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def fill() -> None:
        try:
            async with aclosing(parts):
                async for part in parts:
                    waiting.put_nowait(part)
        finally:
            waiting.put_nowait(None)

    task = asyncio.ensure_future(fill())
    try:
        while (part := await waiting.get()) is not None:
            found = [part, *_drain(waiting)]
            yield b"".join(filter(None, found))
            if found[-1] is None:
                return
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _drain(queue: "asyncio.Queue[bytes | None]") -> list[bytes | None]:
    return [queue.get_nowait() for _ in range(queue.qsize())]
