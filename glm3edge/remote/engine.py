"""Remote engine: generates on another server, which is asked for token ids over HTTP.

    generate() ──task──> POST /v1/completions ──token ids──> Reply ──events──> sink

Text, stop strings and the parts of a reply are made here. Leaving a request closes its connection,
which ends it there.
"""

import asyncio
import json
import logging
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Protocol

import httpx

from glm3edge.core import FinishReason, GenerationFinished, ModelState
from glm3edge.engine.interface import Cancel, InferenceEngine
from glm3edge.engine.outbox import Post
from glm3edge.engine.reply import Reply
from glm3edge.engine.request import GenerationRequest, Sink
from glm3edge.engine.stats import Stats
from glm3edge.errors import (
    EngineClosedError,
    EngineError,
    Glm3EdgeError,
    QueueFullError,
    TimeoutExceededError,
)
from glm3edge.remote.completion import body_of, sampled_tokens, usage_in
from glm3edge.remote.errors import EngineUnreachableError
from glm3edge.remote.http import client_options, events, reason_of
from glm3edge.remote.refusals import error_in, refusal
from glm3edge.remote.server import EngineServer

logger = logging.getLogger(__name__)

_CHECK_SECONDS = 5.0
"""Between two looks at the server's health."""

_RECHECK_SECONDS = 1.0
"""The same while it is lost."""

_MAX_FAILED_CHECKS = 2
"""After so many in a row the replies that are under way are given up."""

_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
_NO_EVENT = "the engine sent something that is not part of a completion"


class Pieces(Protocol):
    """Bytes of tokens; see ``Vocabulary``."""

    def piece(self, token_id: int) -> bytes: ...


class RemoteEngine:
    """``InferenceEngine`` on another server. It lives on the event loop that starts it."""

    continues_grammars = False
    replicas: ClassVar[Mapping[str, InferenceEngine]] = {}
    model_state: ClassVar[ModelState | None] = None  # the other server knows

    def __init__(
        self,
        server: EngineServer,
        vocabulary: Pieces,
        *,
        max_running: int,
        max_waiting: int,
        timeout: float = math.inf,
    ) -> None:
        """Create an engine; nothing is connected yet.

        Args:
            server: that computes.
            vocabulary: of its model.
            max_running: generations of one request that are worth asking for at once.
            max_waiting: generations that may be under way besides; the server has its own queue.
            timeout: seconds after which a generation ends with an error.
        """
        self.context_size = server.context_size
        self.max_running = max_running
        self.capacity = max_running + max_waiting
        self.problem: str | None = None
        self.stats = Stats()
        self._server = server
        self._vocabulary = vocabulary
        self._timeout = timeout
        self._client: httpx.AsyncClient
        self._loop: asyncio.AbstractEventLoop | None = None
        self._replies: dict[asyncio.Task[list[Any]], Reply] = {}
        self._errors: dict[asyncio.Task[list[Any]], EngineError] = {}  # of those that are ended
        self._doubt = asyncio.Event()  # a request failed: is the server still there?
        self._watch: asyncio.Task[None]
        self._closing = False

    @property
    def is_running(self) -> bool:
        """Whether requests are being served."""
        return self._loop is not None and not self._closing

    @property
    def is_healthy(self) -> bool:
        """Whether requests are being served, and the server answers."""
        return self.is_running and self.problem is None

    @property
    def num_running(self) -> int:
        """Generations that have a token."""
        return sum(reply.num_tokens > 0 for reply in self._replies.values())

    @property
    def num_waiting(self) -> int:
        """Generations that have none yet."""
        return len(self._replies) - self.num_running

    def start(self, post: Post) -> None:
        """Start on the running event loop, which makes ``post`` needless."""
        self._loop = asyncio.get_running_loop()
        self._client = httpx.AsyncClient(
            **client_options(self._server.url, self._server.api_key),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=self.capacity),
        )
        self._watch = self._loop.create_task(self._watch_health())

    def check_capacity(self, num_sequences: int = 1) -> None:
        """Raise what ``generate()`` would raise now for that many requests."""
        if self._closing:
            raise EngineClosedError("the server is shutting down")
        if self.problem is not None:
            raise EngineUnreachableError(self.problem)
        if len(self._replies) + num_sequences > self.capacity:
            raise QueueFullError(num_waiting=self.num_waiting, retry_after=1)

    def generate(self, request: GenerationRequest, sink: Sink) -> Cancel:
        """See ``InferenceEngine``. On the event loop only."""
        self.check_capacity()
        if len(request.prompt_ids) + request.max_new_tokens > self.context_size:
            raise ValueError("a reply that does not fit the context")
        if request.begun_ids and request.grammar is not None:
            raise ValueError("a reply that has begun under a grammar")
        reply = Reply(request)
        task = asyncio.get_running_loop().create_task(self._run(request, reply, sink))
        self._replies[task] = reply
        task.add_done_callback(partial(self._end, request, sink))
        return task.cancel

    def request_close(self) -> None:
        """Take no more requests and end the others with EngineClosedError; does not wait."""
        self._closing = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed, and all has ended with it
                self._loop.call_soon_threadsafe(self._stop)

    def close(self) -> None:
        """``request_close()``, then wait for the end, on another thread. Idempotent."""
        self.request_close()
        loop, self._loop = self._loop, None
        if loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(self._disconnect(), loop).result()

    def _stop(self) -> None:
        self._watch.cancel()
        self._end_all(EngineClosedError("the server is shutting down"))

    def _end_all(self, error: EngineError) -> None:
        for task in self._replies:
            self._errors[task] = error
            task.cancel()

    async def _disconnect(self) -> None:
        await asyncio.gather(*self._replies, self._watch, return_exceptions=True)
        await self._client.aclose()

    def _end(self, request: GenerationRequest, sink: Sink, task: asyncio.Task[list[Any]]) -> None:
        """Count a generation that has ended, and give its last events to its sink."""
        reply, error = self._replies.pop(task), self._errors.pop(task, None)
        if not task.cancelled():
            last = task.result()
        elif error is not None:
            last = [reply.end(FinishReason.ERROR, error=error)]
        else:
            last = [reply.end(FinishReason.CANCELLED)]
        self.stats.count(last[-1], num_prompt_tokens=len(request.prompt_ids))
        for event in last:
            sink(event)

    async def _run(self, request: GenerationRequest, reply: Reply, sink: Sink) -> list[Any]:
        """Generate; returns the last events, of which the very last is the ending."""
        timeout = None if math.isinf(self._timeout) else self._timeout
        error: Exception
        try:
            return await asyncio.wait_for(self._read(request, reply, sink), timeout)
        except asyncio.TimeoutError:
            error = TimeoutExceededError(self._timeout)
        except httpx.HTTPError as exc:
            self._doubt.set()
            logger.warning("the engine at %s failed: %s", self._server.url, reason_of(exc))
            reason = "its reply broke off" if reply.num_tokens else "it does not answer"
            error = EngineUnreachableError(reason)
        except Glm3EdgeError as exc:
            if isinstance(exc, EngineUnreachableError):
                self._doubt.set()
            error = exc
        except Exception as exc:
            logger.exception("a reply of the engine could not be read")
            error = EngineError(f"{_NO_EVENT} ({type(exc).__name__})")
        return [reply.end(FinishReason.ERROR, error=error)]

    async def _read(self, request: GenerationRequest, reply: Reply, sink: Sink) -> list[Any]:
        """Read a reply to its end; the ending waits for the usage, which the server sends last."""
        last: list[Any] = []
        is_over = False  # on the server
        usage: dict[str, Any] = {}
        reply.begin(self.context_size)
        try:
            async with aclosing(self._chunks(request)) as chunks:
                async for chunk in chunks:
                    usage |= usage_in(chunk)
                    for choice in chunk["choices"]:
                        is_over |= choice.get("finish_reason") is not None
                        found = self._events(request, reply, choice)
                        if reply.has_ended:
                            last += found
                        else:
                            for event in found:
                                sink(event)
                    if reply.has_ended and not is_over:
                        break  # closing the connection ends it there
        except httpx.HTTPError:
            if not reply.has_ended:
                raise
        if not reply.has_ended:
            raise EngineUnreachableError("its reply broke off")
        end: GenerationFinished = last.pop()
        return [*last, replace(end, **usage)]

    def _events(
        self, request: GenerationRequest, reply: Reply, choice: dict[str, Any]
    ) -> list[Any]:
        """Events of a chunk's choice, with the ending where the reply ends."""
        found: list[Any] = []
        for token_id, logprobs in sampled_tokens(choice, request.num_logprobs):
            if not reply.has_ended:
                found += reply.add(token_id, self._vocabulary.piece, logprobs)
        if (reason := choice.get("finish_reason")) is not None and not reply.has_ended:
            if reason not in _REASONS:
                raise EngineError(f"the engine ended the reply: {reason}")
            found += reply.finish(_REASONS[reason])
        return found

    async def _chunks(self, request: GenerationRequest) -> AsyncGenerator[dict[str, Any], None]:
        """Chunks of the server's stream."""
        body = body_of(
            request,
            model=self._server.model_of(request.adapter),
            context_size=self.context_size,
            names_priority=self._server.is_ours,
        )
        url = f"{self._server.url}/completions"
        async with self._client.stream("POST", url, json=body) as response:
            if response.is_error:
                raise refusal(response, await response.aread(), num_waiting=self.num_waiting)
            async for data in events(response):
                if data == b"[DONE]":
                    return
                chunk = json.loads(data)
                if chunk.get("error"):
                    raise error_in(chunk)
                yield chunk

    async def _watch_health(self) -> None:
        num_failed = 0  # in a row
        while True:
            problem = await self._find_problem()
            num_failed = num_failed + 1 if problem else 0
            if problem and num_failed >= _MAX_FAILED_CHECKS:
                self._end_all(EngineUnreachableError(problem))
            if problem != self.problem:
                state = f"is lost: {problem}" if problem else "is back"
                logger.warning("the engine at %s %s", self._server.url, state)
            self.problem = problem
            self._doubt.clear()
            with suppress(asyncio.TimeoutError):
                seconds = _RECHECK_SECONDS if problem else _CHECK_SECONDS
                await asyncio.wait_for(self._doubt.wait(), seconds)

    async def _find_problem(self) -> str | None:
        url = self._server.url.copy_with(path=self._server.url.path.removesuffix("/v1") + "/health")
        try:
            response = await self._client.get(url, timeout=_CHECK_SECONDS)
        except httpx.HTTPError:
            return "it does not answer"
        return f"/health answers {response.status_code}" if response.is_server_error else None
