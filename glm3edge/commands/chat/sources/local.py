"""Source of replies with a model that is loaded in this process."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import ValidationError

from glm3edge.commands.chat.sources.base import ReplyEvent, first_error, read_chunk
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatRequest
from glm3edge.serving.services import Services


class LocalSource:
    """The services behind ``/v1/chat/completions``, without HTTP. See ``Source``."""

    def __init__(self, services: Services) -> None:
        """Start the engine of ``services``; the running event loop gets its events."""
        self._services = services
        self.model = services.card.id
        services.engine.start(asyncio.get_running_loop().call_soon_threadsafe)

    @property
    def models(self) -> Sequence[str]:
        """Names of the model and its adapters."""
        base = self._services.card.id
        return [card.id for card in self._services.cards if base in (card.id, card.parent)]

    @property
    def context_length(self) -> int | None:
        """Context size, in tokens."""
        return self._services.card.context_length

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[ReplyEvent, None]:
        """See ``Source``."""
        chat = self._services.chat
        request = self._request(body)
        job = await asyncio.to_thread(chat.prepare, request)
        async with aclosing(chat.stream(job)) as chunks:
            async for chunk in chunks:
                for event in read_chunk(chunk.model_dump(exclude_none=True)):
                    yield event

    async def count_prompt(self, body: Mapping[str, Any]) -> int | None:
        """See ``Source``."""
        return await asyncio.to_thread(self._services.chat.count_prompt_tokens, self._request(body))

    async def count_text(self, text: str) -> int | None:
        """See ``Source``."""
        return await asyncio.to_thread(self._services.tokens.count, text)

    async def aclose(self) -> None:
        """Close the engine; the runtime is closed by its owner."""
        await asyncio.to_thread(self._services.engine.close)

    def _request(self, body: Mapping[str, Any]) -> ChatRequest:
        options = {"model": self.model, "stream": True, "stream_options": {"include_usage": True}}
        try:
            return ChatRequest.model_validate({**body, **options})
        except ValidationError as exc:
            raise InvalidRequestError(first_error(exc)) from exc
