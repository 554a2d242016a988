"""The bridge to asyncio: a sequence's events as an async iterator."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from glm3edge.engine.engine import Engine
from glm3edge.engine.sequence import Sequence, Sink
from glm3edge.types import Ending

T = TypeVar("T")


async def gather(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of ``works``, run side by side; when one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def stream_events(
    engine: Engine, make: Callable[[Sink], Sequence]
) -> AsyncGenerator[Any, None]:
    """Submit the sequence that ``make`` builds around a sink, and yield its events to the ending.

    The engine must post to the running loop. Leaving early, for whatever reason, cancels.

    Raises:
        EngineClosedError: the engine takes no more work.
        QueueFullError: as many requests wait as may.
        Exception: the ending's error, if it has one.
    """
    events: asyncio.Queue[Any] = asyncio.Queue()
    sequence = make(events.put_nowait)
    engine.submit(sequence)
    try:
        while True:
            event = await events.get()
            if isinstance(event, Ending) and event.error is not None:
                raise event.error
            yield event
            if isinstance(event, Ending):
                return
    finally:
        engine.cancel(sequence)
