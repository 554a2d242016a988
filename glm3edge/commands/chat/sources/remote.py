"""Source of replies on a server with OpenAI's routes."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import ValidationError

from glm3edge.chatglm3.prompt import build_turns
from glm3edge.commands.chat.errors import ServerError
from glm3edge.commands.chat.sources.base import Finished, ReplyEvent, first_error, read_chunk
from glm3edge.errors import ConfigError, InvalidRequestError
from glm3edge.remote.http import base_url as parse_url
from glm3edge.remote.http import client_options, events, reason_of
from glm3edge.schema.chat import ChatRequest

_OURS = "glm3edge"


class RemoteSource:
    """Server at ``base_url``. See ``Source``.

    Prompt tokens are counted if the server is glm3edge, whose prompt format is known; other servers
    report themselves what is too long.
    """

    def __init__(
        self, base_url: str, *, api_key: str | None = None, model: str | None = None
    ) -> None:
        """Use the server at ``base_url``; its ``/v1`` may be left out.

        Raises:
            ConfigError: it is no URL, or the proxy of the environment cannot be used.
        """
        url = parse_url(base_url, option="--base-url")
        self.model = model or ""
        self._base_url = str(url)
        self._api_key = api_key
        self._cards: list[dict[str, Any]] = []
        self._sizes: dict[str, int] = {}
        try:
            self._client = httpx.AsyncClient(**client_options(url, api_key))
        except (ImportError, ValueError) as exc:
            raise ConfigError(f"the proxy of the environment cannot be used: {exc}") from exc

    async def open(self) -> None:
        """List the server's models, and take the first unless a model was named.

        Raises:
            ServerError: the server refuses, or cannot be reached.
            ConfigError: it does not serve the model that was named.
        """
        listed = await self._json("GET", f"{self._base_url}/models")
        data = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(data, list):
            raise ServerError(f"{self._base_url} is not a server with OpenAI's routes")
        self._cards = [card for card in data if isinstance(card, dict) and card.get("id")]
        if not self.model and self._cards:
            self.model = str(self._cards[0]["id"])
        if self._cards and self.model not in self.models:
            names = ", ".join(self.models)
            raise ConfigError(f"{self._base_url} does not serve {self.model}, but {names}")

    @property
    def models(self) -> Sequence[str]:
        """Names of the server's models."""
        return [str(card["id"]) for card in self._cards]

    @property
    def context_length(self) -> int | None:
        """Context length of the model, as the server gives it."""
        length = self._card.get("context_length")
        return length if isinstance(length, int) else None

    @property
    def _card(self) -> dict[str, Any]:
        return next((card for card in self._cards if card["id"] == self.model), {})

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[ReplyEvent, None]:
        """See ``Source``."""
        options = {"model": self.model, "stream": True, "stream_options": {"include_usage": True}}
        has_ended = False
        url = f"{self._base_url}/chat/completions"
        async with self._sent("POST", url, {**body, **options}) as response:
            async for data in events(response):
                if data == b"[DONE]":
                    return
                for event in read_chunk(self._chunk(data)):
                    has_ended |= isinstance(event, Finished)
                    yield event
        if not has_ended:
            raise ServerError("the connection broke off before the reply was complete")

    def _chunk(self, data: bytes) -> Mapping[str, Any]:
        try:
            chunk = json.loads(data)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict):
            raise ServerError(f"{self._base_url} sent something that is not a chat event")
        if chunk.get("error"):
            raise _error(chunk, None)
        return chunk

    async def count_prompt(self, body: Mapping[str, Any]) -> int | None:
        """See ``Source``."""
        if self._card.get("owned_by") != _OURS and "parent" not in self._card:
            return None
        try:
            request = ChatRequest.model_validate(body)
        except ValidationError as exc:
            raise InvalidRequestError(first_error(exc)) from exc
        # As chatglm3.prompt has it: a prefix of two, and for each turn its role, its metadata with
        # a line end, and its content; at the end the assistant's role, and a line end where no
        # tool may be called.
        turns = build_turns(request.messages, request.tools or ())
        texts = [text for turn in turns for text in (f"{turn.metadata}\n", turn.content)]
        total = 3 + len(turns)
        for text in texts if request.tools else [*texts, "\n"]:
            if (size := await self.count_text(text)) is None:
                return None
            total += size
        return total

    async def count_text(self, text: str) -> int | None:
        """See ``Source``. Counts are cached by text."""
        if text not in self._sizes:
            url = f"{self._base_url.removesuffix('/v1')}/tokenize"
            try:
                reply = await self._json("POST", url, {"content": text})
                self._sizes[text] = len(reply["tokens"])
            except ServerError as exc:
                if exc.status in (404, 405):
                    return None
                raise
            except (KeyError, TypeError):
                return None
        return self._sizes[text]

    async def aclose(self) -> None:
        """See ``Source``."""
        await self._client.aclose()

    async def _json(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
        async with self._sent(method, url, body) as response:
            try:
                return json.loads(await response.aread())
            except ValueError:
                raise ServerError(f"{url} did not answer with JSON") from None

    @asynccontextmanager
    async def _sent(
        self, method: str, url: str, body: Mapping[str, Any] | None
    ) -> AsyncIterator[httpx.Response]:
        """Response to a request, with a status of success.

        Raises:
            ServerError: the server answers with an error, or not at all.
        """
        try:
            async with self._client.stream(method, url, json=body) as response:
                if response.status_code >= 400:
                    raise self._refusal(response.status_code, await response.aread())
                yield response
        except httpx.ConnectError as exc:
            if "CERTIFICATE_VERIFY_FAILED" in str(exc):
                raise ServerError(
                    f"{self._base_url}: {reason_of(exc)}: if a private authority signed the "
                    "server's certificate, set SSL_CERT_FILE to the authority's own"
                ) from exc
            raise ServerError(
                f"cannot reach {self._base_url}: {reason_of(exc)}: is glm3edge serve running there?"
            ) from exc
        except httpx.HTTPError as exc:
            raise ServerError(f"{self._base_url}: {reason_of(exc)}") from exc

    def _refusal(self, status: int, data: bytes) -> ServerError:
        if status == 401:
            fault = "needs an API key" if self._api_key is None else "refuses the key"
            message = f"{self._base_url} {fault}: set GLM3EDGE_API_KEY, or give --api-key"
            return ServerError(message, status=status)
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if isinstance(body, dict) and body.get("error"):
            return _error(body, status)
        text = data.decode(errors="replace").strip().partition("\n")[0][:200]
        return ServerError(f"{self._base_url} answered {status}: {text}", status=status)


def _error(body: Mapping[str, Any], status: int | None) -> ServerError:
    """Error from OpenAI's error body."""
    error = body["error"]
    if not isinstance(error, dict):
        return ServerError(str(error), status=status)
    code = error.get("code")
    message = str(error.get("message") or code or "the server failed")
    return ServerError(message, status=status, code=None if code is None else str(code))
