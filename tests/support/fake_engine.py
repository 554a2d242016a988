"""A server of ``/v1/completions`` that says what a test tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

CARD = {"id": "glm", "owned_by": "vllm", "max_model_len": 64}


@dataclass
class FakeServer:
    """Scripted vLLM.

    Attributes:
        cards: its models.
        health: status of its health.
        replies: chunks of the replies to come; an Exception breaks the connection off there, a
            number is a pause in seconds, text is sent as it is.
        whole: its answer where no stream is wanted.
        refusal: status and message of a refusal of all completions.
        headers: of that refusal.
        bodies: of the requests so far.
        keys: ``Authorization`` headers of all requests.
        num_open: streams that go on.
    """

    cards: list[dict[str, Any]] = field(default_factory=lambda: [CARD])
    health: int = 200
    replies: list[list[Any]] = field(default_factory=list)
    whole: dict[str, Any] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    num_open: int = 0

    @property
    def app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/health", self._health)
        app.add_api_route("/v1/models", self._models)
        app.add_api_route("/v1/completions", self._complete, methods=["POST"])
        return app

    async def _health(self) -> Response:
        return Response(status_code=self.health)

    async def _models(self, request: Request) -> Any:
        self.keys.append(request.headers.get("authorization"))
        return {"object": "list", "data": self.cards}

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.bodies.append(body)
        if self.refusal is not None:
            status, message = self.refusal
            error = {"error": {"message": message}}
            return JSONResponse(error, status_code=status, headers=self.headers)
        if not body.get("stream"):
            return JSONResponse({"choices": [self.whole]})
        return StreamingResponse(self._stream(self.replies.pop(0)), media_type="text/event-stream")

    async def _stream(self, parts: list[Any]) -> AsyncIterator[bytes]:
        self.num_open += 1
        try:
            for part in parts:
                if isinstance(part, Exception):
                    raise part
                if isinstance(part, int | float):
                    await asyncio.sleep(part)
                else:
                    text = part if isinstance(part, str) else f"data: {json.dumps(part)}\n\n"
                    yield text.encode()
        finally:
            self.num_open -= 1


def chunk(
    ids: list[int], reason: str | None = None, logprobs: list[float] | None = None
) -> dict[str, Any]:
    """A chunk of a stream, as vLLM sends it."""
    choice: dict[str, Any] = {"index": 0, "text": "-", "token_ids": ids, "finish_reason": reason}
    if logprobs is not None:
        choice["logprobs"] = {
            "tokens": [f"token_id:{one}" for one in ids],
            "token_logprobs": logprobs,
            "top_logprobs": [
                {f"token_id:{one}": value, "token_id:7": value - 1, "token_id:9": value + 0.25}
                for one, value in zip(ids, logprobs, strict=True)
            ],
        }
    return {"id": "cmpl-1", "choices": [choice]}


def usage(num_cached: int | None = None) -> dict[str, Any]:
    """The chunk with the usage."""
    details = None if num_cached is None else {"cached_tokens": num_cached}
    numbers = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return {"id": "cmpl-1", "choices": [], "usage": {**numbers, "prompt_tokens_details": details}}


DONE = "data: [DONE]\n\n"
