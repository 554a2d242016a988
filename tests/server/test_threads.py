"""Threads that prepare requests."""

import asyncio
import threading

from glm3edge.limits import MAX_PREPARED
from glm3edge.server.threads import in_thread
from tests.support.waiting import SECONDS


def test_so_many_work_at_once() -> None:
    """No fewer, or none would pass the barrier, and no more."""
    barrier = threading.Barrier(MAX_PREPARED)
    running: set[int] = set()
    counts: list[int] = []

    def work(number: int) -> int:
        running.add(number)
        counts.append(len(running))
        barrier.wait(SECONDS)
        running.discard(number)
        return number

    async def main() -> list[int]:
        return await asyncio.gather(*(in_thread(work, n) for n in range(5 * MAX_PREPARED)))

    assert asyncio.run(main()) == list(range(5 * MAX_PREPARED))
    assert max(counts) == MAX_PREPARED
