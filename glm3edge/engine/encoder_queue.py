"""EncoderQueue: texts that wait for an encoder, computed together on the engine's thread.

Two threads that compute at once would take the processor from each other, and far more than half
of it: each has threads of its own that wait actively. So encoders take turns with the chat model's
batches.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from glm3edge.engine.engine import Engine
from glm3edge.errors import EngineClosedError, QueueFullError, TimeoutExceededError

if TYPE_CHECKING:
    from glm3edge.engine.embedding import Vector

_TOGETHER = 256
"""Tokens of several texts in a batch. An encoder compares each with each, those of other texts too:
with MiniLM 116 to 232 tokens gave most texts a second, 29 two thirds of that, 1,856 as few."""


class TextEncoder(Protocol):
    """``glm3edge.llama.encoder.Encoder`` is the real one; see there."""

    batch_size: int
    num_sequences: int

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that waits, until when, and who waits for it."""

    token_ids: Sequence[int]
    deadline: float  # in monotonic seconds
    future: "Future[Vector]"


class EncoderQueue:
    """Takes texts from any thread."""

    def __init__(
        self,
        engine: Engine,
        encoder: TextEncoder,
        *,
        max_waiting: int = 10_000,
        timeout: float = math.inf,
    ) -> None:
        """To compute with ``encoder`` on the thread of ``engine``.

        Args:
            engine: whose batches take turns with the encoder's.
            encoder: what makes vectors.
            max_waiting: texts that may wait when another comes.
            timeout: seconds that a text may wait.
        """
        self._engine = engine
        self._encoder = encoder
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._lock = threading.Lock()
        self._urgent: deque[_Text] = deque()
        self._others: deque[_Text] = deque()
        self._is_called = False  # whether the engine has been asked to compute

    def submit(
        self, token_ids: Sequence[int], *, is_urgent: bool = False, waits: bool = False
    ) -> "Future[Vector]":
        """The vector of a text of ``batch_size`` tokens at the most, to come.

        Cancelling it takes the text out. What ``is_urgent`` goes before what is not. If the engine
        is closed, or closes before, its error is EngineClosedError; TimeoutExceededError if it
        waits too long.

        Raises:
            QueueFullError: too many wait, and this one is not part of a request that ``waits``.
        """
        future: Future[Vector] = Future()
        with self._lock:
            num_waiting = len(self._urgent) + len(self._others)
            if num_waiting >= self._max_waiting and not waits:
                raise QueueFullError(num_waiting=num_waiting, retry_after=1)
            queue = self._urgent if is_urgent else self._others
            queue.append(_Text(token_ids, time.monotonic() + self._timeout, future))
            is_first, self._is_called = not self._is_called, True
        if is_first:
            self._call()
        return future

    def _call(self) -> None:
        """Ask the engine for a turn."""
        try:
            self._engine.run_on_engine_thread(self._compute, on_error=self._fail)
        except EngineClosedError as exc:
            self._fail(exc)

    def _compute(self) -> None:
        """One batch, then another turn if more wait."""
        batch = self._next_batch()
        try:
            if batch:
                vectors = self._encoder.encode([text.token_ids for text in batch])
                for text, vector in zip(batch, vectors, strict=True):
                    text.future.set_result(vector)
        except Exception as exc:
            for text in batch:
                text.future.set_exception(exc)
        with self._lock:
            goes_on = self._is_called = bool(self._urgent or self._others)
        if goes_on:
            self._call()

    def _next_batch(self) -> list[_Text]:
        """The first that wait and fit a batch together; beside running replies one alone."""
        limit = 1 if self._engine.num_running else self._encoder.num_sequences
        batch: list[_Text] = []
        room = min(self._encoder.batch_size, _TOGETHER)
        now = time.monotonic()
        with self._lock:
            while (queue := self._urgent or self._others) and len(batch) < limit:
                if batch and len(queue[0].token_ids) > room:
                    break
                text = queue.popleft()
                if not text.future.set_running_or_notify_cancel():
                    continue
                if now >= text.deadline:
                    text.future.set_exception(TimeoutExceededError(self._timeout))
                    continue
                batch.append(text)
                room -= len(text.token_ids)
        return batch

    def _fail(self, error: Exception) -> None:
        """The engine has closed before the turn came."""
        with self._lock:
            self._is_called = False
            waiting = [*self._urgent, *self._others]
            self._urgent.clear()
            self._others.clear()
        for text in waiting:
            if text.future.set_running_or_notify_cancel():
                text.future.set_exception(error)
