"""Server-sent events as OpenAI's streams use them."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from pydantic import BaseModel
from sse_starlette.sse import AppStatus, EventSourceResponse

from glm3edge.errors import Glm3EdgeError
from glm3edge.server.errors import describe

logger = logging.getLogger(__name__)

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


def stream(items: AsyncGenerator[BaseModel, None]) -> EventSourceResponse:
    """A response that sends ``items`` and ``[DONE]``.

    A failure on the way becomes an event with OpenAI's error body, which ends the stream. A client
    that leaves ends ``items`` at once. While nothing comes, a comment keeps the connection alive.
    """
    return EventSourceResponse(_events(items), sep="\n", ping=PING_SECONDS)


async def _events(items: AsyncGenerator[BaseModel, None]) -> AsyncIterator[bytes]:
    try:
        async with aclosing(items):
            async for item in items:
                yield event(item)
    except Exception as exc:
        if not isinstance(exc, Glm3EdgeError):
            logger.exception("a stream failed")
        yield event(describe(exc)[1])
    else:
        yield _DONE
