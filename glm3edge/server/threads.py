"""Threads for work on a request that would keep the event loop from other requests."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from glm3edge import limits

T = TypeVar("T")

_LIMITER = CapacityLimiter(limits.MAX_PREPARED)


async def in_thread(work: Callable[..., T], *args: object) -> T:
    """The result of ``work``, which waits while as many others as may be are running.

    One that is cancelled as it waits never begins; one that runs counts until its end.
    """
    async with _LIMITER:
        running = asyncio.ensure_future(run_sync(work, *args))
        try:
            return await asyncio.shield(running)
        finally:
            await asyncio.gather(running, return_exceptions=True)  # whose error nobody may await
            del running  # its error leads back here, and would keep the request
