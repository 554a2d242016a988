"""Router: one engine over several replicas.

    generate() ──> replica of the conversation ──fails before a token──> the next one

A replica that fails rests for a moment. A request that has a token stays where it is: another
replica would go on with another text.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.core import FinishedEvent, ModelState
from glm3edge.engine.interface import Cancel, InferenceEngine
from glm3edge.engine.outbox import Post
from glm3edge.engine.request import GenerationRequest, Sink
from glm3edge.engine.stats import Stats
from glm3edge.errors import (
    EngineClosedError,
    EngineError,
    QueueFullError,
    TimeoutExceededError,
)
from glm3edge.remote.errors import EngineUnreachableError
from glm3edge.remote.routing import choose, conversation_key, ranking

_REST_SECONDS = 1.0

_MAX_FAILURES = 3
"""Replicas that one request may take down with it."""


class Router:
    """``InferenceEngine`` over replicas of one model.

    Attributes:
        replicas: the engines, by their addresses.
        stats: of the requests, however many replicas they went to.
    """

    continues_grammars = False
    model_state: ClassVar[ModelState | None] = None  # the replicas know

    def __init__(self, replicas: Mapping[str, InferenceEngine], special: SpecialTokens) -> None:
        """Create a router; nothing is started yet.

        Args:
            replicas: engines that have the same model, by their addresses.
            special: the model's control tokens, which part a prompt into turns.
        """
        self.replicas = dict(replicas)
        self.context_size = min(one.context_size for one in self.replicas.values())
        self.max_running = sum(one.max_running for one in self.replicas.values())
        self.capacity = sum(one.capacity for one in self.replicas.values())
        self.stats = Stats()
        self._special = special
        self._rests_until = dict.fromkeys(self.replicas, -math.inf)  # seconds of monotonic()

    @property
    def is_running(self) -> bool:
        """Whether requests are being served."""
        return any(one.is_running for one in self.replicas.values())

    @property
    def is_healthy(self) -> bool:
        """Whether requests are being served, by one replica at least."""
        return any(one.is_healthy for one in self.replicas.values())

    @property
    def problem(self) -> str | None:
        """Reason why no replica serves; None if one does."""
        problems = [one.problem for one in self.replicas.values()]
        return None if None in problems else problems[0]

    @property
    def num_running(self) -> int:
        """Generations that are being computed."""
        return sum(one.num_running for one in self.replicas.values())

    @property
    def num_waiting(self) -> int:
        """Generations that wait."""
        return sum(one.num_waiting for one in self.replicas.values())

    def start(self, post: Post) -> None:
        """Start all replicas."""
        for replica in self.replicas.values():
            replica.start(post)

    def check_capacity(self, num_sequences: int = 1) -> None:
        """Raise what ``generate()`` would raise now for that many requests."""
        if not self.is_running:
            raise EngineClosedError("the server is shutting down")
        if self.problem is not None:
            raise EngineUnreachableError(self.problem)
        fit = [one for one in self.replicas.values() if one.is_healthy]
        num_free = sum(one.capacity - _load(one) for one in fit)
        if num_sequences > num_free:
            raise QueueFullError(num_waiting=self.num_waiting, retry_after=1)

    def generate(self, request: GenerationRequest, sink: Sink) -> Cancel:
        """See ``InferenceEngine``."""
        self.check_capacity()
        return _Generation(self, request, sink).cancel

    def request_close(self) -> None:
        """Take no more requests and end the others with EngineClosedError; does not wait."""
        for replica in self.replicas.values():
            replica.request_close()

    def close(self) -> None:
        """``request_close()``, then wait for the end. Idempotent."""
        self.request_close()
        for replica in self.replicas.values():
            replica.close()

    def rank(self, request: GenerationRequest) -> list[str]:
        """Addresses of the replicas, the one that has the conversation first."""
        return ranking(conversation_key(request.prompt_ids, self._special), self.replicas)

    def pick(self, ranked: list[str]) -> str:
        """The one of ``ranked`` that is to compute: it is healthy and, if one is, rested."""
        now = time.monotonic()
        fit = [name for name in ranked if self.replicas[name].is_healthy] or ranked
        rested = [name for name in fit if self._rests_until[name] <= now] or fit
        return choose(rested, [_load(self.replicas[name]) for name in rested])

    def let_rest(self, name: str, error: EngineError) -> None:
        """Prefer other replicas for a moment."""
        seconds = error.retry_after if isinstance(error, QueueFullError) else _REST_SECONDS
        self._rests_until[name] = time.monotonic() + seconds


class _Generation:
    """A generation at one replica, or at the next while there is no token."""

    def __init__(self, router: Router, request: GenerationRequest, sink: Sink) -> None:
        self._router = router
        self._request = request
        self._sink = sink
        self._untried = router.rank(request)
        self._num_failures = 0
        self._has_begun = False
        self._generate()

    def cancel(self) -> None:
        """End it where it is."""
        self._cancel()

    def _generate(self) -> None:
        """Go to the next replica that takes the request; raises the error of the last."""
        while True:
            self._name = self._router.pick(self._untried)
            self._untried.remove(self._name)
            replica = self._router.replicas[self._name]
            try:
                self._cancel = replica.generate(self._request, self._receive)
            except EngineError as exc:
                if not self._untried or isinstance(exc, EngineClosedError):
                    raise
            else:
                return

    def _receive(self, event: Any) -> None:
        if isinstance(event, FinishedEvent):
            if self._is_worth_another_try(event.error):
                try:
                    self._generate()
                except EngineError as exc:
                    event = replace(event, error=exc)
                else:
                    return
            num_prompt_tokens = len(self._request.prompt_ids)
            self._router.stats.count(event, num_prompt_tokens=num_prompt_tokens)
        self._has_begun = True
        self._sink(event)

    def _is_worth_another_try(self, error: Exception | None) -> bool:
        if not isinstance(error, EngineError):
            return False
        if isinstance(error, EngineClosedError | TimeoutExceededError):
            return False
        self._router.let_rest(self._name, error)
        self._num_failures += 1
        return not self._has_begun and bool(self._untried) and self._num_failures < _MAX_FAILURES


def _load(engine: InferenceEngine) -> int:
    return engine.num_running + engine.num_waiting
