"""Requests for services, and an engine to run them, where no application starts it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from glm3edge.engine.engine import Engine
from glm3edge.schema.chat import ChatRequest


def run(engine: Engine, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """The result of ``work``, on an event loop that the engine posts to."""

    async def main() -> Any:
        if not engine.is_running:
            engine.start(asyncio.get_running_loop().call_soon_threadsafe)
        return await work()

    return asyncio.run(main())


def chat_request(text: str = "hi", **fields: Any) -> ChatRequest:
    """A chat request with one message of the user."""
    messages = [{"role": "user", "content": text}]
    return ChatRequest.model_validate({"messages": messages, **fields})
