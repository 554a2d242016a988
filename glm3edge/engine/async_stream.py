"""The bridge to asyncio: a sequence's events as an async iterator."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from glm3edge.core import FinishedEvent
from glm3edge.engine.engine import Engine
from glm3edge.engine.sequence import EngineSequence, Sink
from glm3edge.errors import QueueFullError

T = TypeVar("T")

_QUEUE_SECONDS = 0.1
"""Between looks at a full queue."""


async def gather(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of ``works``, run side by side; when one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def merge(
    sources: Sequence[AsyncGenerator[T, None]],
) -> AsyncGenerator[tuple[int, T], None]:
    """Items of all ``sources`` as they come, each with the number of its source.

    Leaving early, or a failure of one, closes them all.
    """
    if len(sources) == 1:
        async with aclosing(sources[0]) as source:
            async for item in source:
                yield 0, item
        return
    items: asyncio.Queue[tuple[int, T] | None] = asyncio.Queue()

    async def forward(number: int, source: AsyncGenerator[T, None]) -> None:
        try:
            async with aclosing(source):
                async for item in source:
                    items.put_nowait((number, item))
        finally:
            items.put_nowait(None)

    tasks = [asyncio.ensure_future(forward(n, source)) for n, source in enumerate(sources)]
    try:
        for _ in sources:
            while (numbered := await items.get()) is not None:
                yield numbered
            for task in tasks:
                if task.done():
                    task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stream_events(
    engine: Engine, make: Callable[[Sink], EngineSequence], *, waits: bool = False
) -> AsyncGenerator[list[Any], None]:
    """Submit the sequence that ``make`` builds around a sink, and yield its events to the ending:
    those that have come meanwhile together, so that what is done with them is done once.

    The engine must post to the running loop. Leaving early, for whatever reason, cancels. With
    ``waits`` a full queue is waited for: the sequence is part of a request that has begun.

    Raises:
        EngineClosedError: the engine takes no more work.
        QueueFullError: as many requests wait as may.
        Exception: the ending's error, if it has one.
    """
    events: asyncio.Queue[Any] = asyncio.Queue()
    sequence = make(events.put_nowait)
    while True:
        try:
            engine.submit(sequence)
            break
        except QueueFullError:
            if not waits:
                raise
            await asyncio.sleep(_QUEUE_SECONDS)
    try:
        while True:
            arrived = [await events.get()]
            arrived += [events.get_nowait() for _ in range(events.qsize())]
            last = arrived[-1]
            if isinstance(last, FinishedEvent) and last.error is not None:
                if before := arrived[:-1]:
                    yield before
                raise last.error
            yield arrived
            if isinstance(last, FinishedEvent):
                return
    finally:
        engine.cancel(sequence)
