"""Server-sent events as OpenAI's streams use them."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeVar

from pydantic import BaseModel
from sse_starlette.sse import AppStatus, EventSourceResponse

from glm3edge.errors import Glm3EdgeError
from glm3edge.schema.base import EventModel
from glm3edge.server.errors import describe

logger = logging.getLogger(__name__)

Body = TypeVar("Body", bound=BaseModel)

PING_SECONDS = 15
_DONE = b"data: [DONE]\n\n"

# Line ends to str.splitlines, which some clients split streams with, and not to JSON.
_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})

# When the server stops, the engine ends every stream with an event that says so. The library would
# cut them off instead.
AppStatus.enable_automatic_graceful_drain = False


def event(body: BaseModel) -> bytes:
    """``body`` as one event, on one line whatever splits the lines."""
    return f"data: {body.model_dump_json().translate(_LINE_ENDS)}\n\n".encode()


def named_event(body: EventModel) -> bytes:
    """``body`` as one event that is called what its ``type`` says."""
    return f"event: {body.type}\n".encode() + event(body)


def stream(items: AsyncGenerator[BaseModel, None]) -> EventSourceResponse:
    """A response that sends ``items`` and ``[DONE]``, as chat completions are streamed.

    A failure on the way becomes an event with OpenAI's error body, which ends the stream. A client
    that leaves ends ``items`` at once. While nothing comes, a comment keeps the connection alive.
    """
    encoded = _encoded(items, event, on_error=lambda exc: describe(exc)[1], end=_DONE)
    return EventSourceResponse(encoded, sep="\n", ping=PING_SECONDS)


def named_stream(
    items: AsyncGenerator[EventModel, None], *, on_error: Callable[[Exception], EventModel]
) -> EventSourceResponse:
    """A response that sends ``items`` as events with names, and nothing after the last.

    A failure on the way becomes the event that ``on_error`` makes of it; else as ``stream()``.
    """
    encoded = _encoded(items, named_event, on_error=on_error, end=b"")
    return EventSourceResponse(encoded, sep="\n", ping=PING_SECONDS)


async def _encoded(
    items: AsyncGenerator[Body, None],
    encode: Callable[[Body], bytes],
    *,
    on_error: Callable[[Exception], Body],
    end: bytes,
) -> AsyncIterator[bytes]:
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
