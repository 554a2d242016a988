"""Vectors of a request's texts, computed a few at a time."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from glm3edge.engine.async_stream import gather
from glm3edge.engine.embedding import Vector


class ComputeVector(Protocol):
    """Computes what a model makes of one text."""

    def __call__(
        self, token_ids: list[int], *, is_alone: bool, waits: bool
    ) -> Awaitable[Vector]: ...


async def compute_all(
    compute: ComputeVector, inputs: Sequence[list[int]], *, num_at_once: int
) -> list[Vector]:
    """What ``compute`` makes of each input; cancelling this cancels those that are left.

    Args:
        compute: told whether the input is the only one, and whether to wait while the queue is
            full, as all do once the first ``num_at_once`` were accepted.
        inputs: token ids of each text.
        num_at_once: texts that are worth computing concurrently.
    """
    places = asyncio.Semaphore(num_at_once)

    async def one(index: int, token_ids: list[int]) -> Vector:
        async with places:
            return await compute(token_ids, is_alone=len(inputs) == 1, waits=index >= num_at_once)

    return await gather(one(index, token_ids) for index, token_ids in enumerate(inputs))
