"""Bridge to asyncio: the events of a sequence as an async iterator."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from glm3edge.core import FinishedEvent
from glm3edge.engine.interface import Cancel
from glm3edge.engine.request import Sink
from glm3edge.errors import QueueFullError

T = TypeVar("T")

_RETRY_SECONDS = 0.1
"""Pause before submitting again to a full queue."""


async def gather(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Results of coroutines that run concurrently; when one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def merge(
    sources: Sequence[AsyncGenerator[T, None]],
) -> AsyncGenerator[tuple[int, T], None]:
    """Items of all ``sources`` as they arrive, each with the index of its source.

    All are closed if the caller leaves early or one of them fails.
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
    submit: Callable[[Sink], Cancel], *, waits: bool = False
) -> AsyncGenerator[list[Any], None]:
    """Submit to an engine, and yield the events to the ending, in lists of those that have arrived.

    The engine must post to the running loop. Leaving early, for whatever reason, cancels.

    Args:
        submit: submits what has the events, given the sink for them.
        waits: wait while the queue is full, for a part of a request that was accepted.

    Raises:
        EngineClosedError: the engine is closed or closing.
        QueueFullError: as many sequences wait as may.
        Exception: the ending's error, if it has one.
    """
    events: asyncio.Queue[Any] = asyncio.Queue()
    while True:
        try:
            cancel = submit(events.put_nowait)
            break
        except QueueFullError:
            if not waits:
                raise
            await asyncio.sleep(_RETRY_SECONDS)
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
        cancel()
