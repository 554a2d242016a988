"""Threads for work on a request that would keep the event loop from other requests."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from glm3edge import limits

T = TypeVar("T")

_LIMITER = CapacityLimiter(limits.MAX_PREPARED)


async def in_thread(work: Callable[..., T], *args: object) -> T:
    """The result of ``work``, which waits while as many others as may be are running.

    One that is cancelled as it waits never begins.
    """
    return await run_sync(work, *args, limiter=_LIMITER)
