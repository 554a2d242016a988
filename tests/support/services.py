"""Runs the joins in tests, where no application starts the engine."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from glm3edge.engine.engine import Engine


def run(engine: Engine, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """The result of ``work``, on an event loop that the engine posts to."""

    async def main() -> Any:
        if not engine.is_running:
            engine.start(asyncio.get_running_loop().call_soon_threadsafe)
        return await work()

    return asyncio.run(main())
