import asyncio
from collections.abc import AsyncGenerator

import pytest

from glm3edge.serving.streams import closing_on_exit


@pytest.mark.parametrize("fails", [False, True])
def test_a_stream_is_closed_when_its_consumer_leaves(fails: bool) -> None:
    closed = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            for number in range(10):
                yield number
        finally:
            closed.append(True)

    async def leave() -> None:
        async with closing_on_exit(numbers()) as stream:
            assert await anext(stream) == 0
            if fails:
                raise ValueError
        assert closed

    if fails:
        with pytest.raises(ValueError):  # noqa: PT011 - it has no text
            asyncio.run(leave())
    else:
        asyncio.run(leave())
    assert closed == [True]
