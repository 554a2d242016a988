"""Queue of texts for an encoder, which runs on the engine's thread: embeddings or reranking.

Two threads that compute at once would slow each other down to far less than half: each has threads
of its own that wait actively. So encoders take turns with the chat model's batches.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from glm3edge.errors import EngineClosedError, QueueFullError, TimeoutExceededError

if TYPE_CHECKING:
    from glm3edge.engine.embedding import Vector

_MAX_BATCH_TOKENS = 256
"""Tokens of several texts in a batch. Attention is computed between all of them, those of other
texts too: with MiniLM 116 to 232 tokens gave most texts a second, 29 two thirds of that, 1,856 as
few."""


class TextEncoder(Protocol):
    """Encoder model: ``glm3edge.llama.encoder.Encoder``, or ``Reranker`` beside it; see there."""

    batch_size: int
    num_sequences: int

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]: ...


class BatchThread(Protocol):
    """Thread that batches run on; see ``Engine``."""

    @property
    def num_running(self) -> int: ...

    def run_on_engine_thread(
        self, task: Callable[[], None], *, on_error: Callable[[Exception], None]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class _Text:
    """A text in the queue, and the future of its vector."""

    token_ids: Sequence[int]
    deadline: float  # in monotonic seconds
    future: "Future[Vector]"


class EncoderQueue:
    """Computes vectors of texts, several in a batch. Any thread may submit."""

    def __init__(
        self,
        engine: BatchThread,
        encoder: TextEncoder,
        *,
        max_waiting: int = 10_000,
        timeout: float = math.inf,
    ) -> None:
        """Create an empty queue.

        Args:
            engine: its batches take turns with the encoder's, on its thread; ``Engine`` is one.
            encoder: computes the vectors.
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
        self._is_scheduled = False  # whether the engine has been asked to run a batch

    def submit(
        self, token_ids: Sequence[int], *, is_urgent: bool = False, waits: bool = False
    ) -> "Future[Vector]":
        """Queue a text of ``batch_size`` tokens at most; returns the future of its vector.

        Cancelling the future removes the text from the queue. Its error is EngineClosedError if the
        engine is closed, or closes before, and TimeoutExceededError if the text waits too long.

        Args:
            token_ids: the text.
            is_urgent: go before texts that are not.
            waits: ignore the limit of the queue, for a text of a request that was accepted.

        Raises:
            QueueFullError: ``max_waiting`` texts wait.
        """
        future: Future[Vector] = Future()
        with self._lock:
            num_waiting = len(self._urgent) + len(self._others)
            if num_waiting >= self._max_waiting and not waits:
                raise QueueFullError(num_waiting=num_waiting, retry_after=1)
            queue = self._urgent if is_urgent else self._others
            queue.append(_Text(token_ids, time.monotonic() + self._timeout, future))
            is_first, self._is_scheduled = not self._is_scheduled, True
        if is_first:
            self._schedule()
        return future

    def _schedule(self) -> None:
        """Ask the engine to run the next batch."""
        try:
            self._engine.run_on_engine_thread(self._run_batch, on_error=self._fail)
        except EngineClosedError as exc:
            self._fail(exc)

    def _run_batch(self) -> None:
        """Compute a batch, and schedule another if more texts wait."""
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
            has_more = self._is_scheduled = bool(self._urgent or self._others)
        if has_more:
            self._schedule()

    def _next_batch(self) -> list[_Text]:
        """Take from the queue the texts that fit a batch; only one beside running sequences."""
        limit = 1 if self._engine.num_running else self._encoder.num_sequences
        batch: list[_Text] = []
        budget = min(self._encoder.batch_size, _MAX_BATCH_TOKENS)
        now = time.monotonic()
        with self._lock:
            while (queue := self._urgent or self._others) and len(batch) < limit:
                if batch and len(queue[0].token_ids) > budget:
                    break
                text = queue.popleft()
                if not text.future.set_running_or_notify_cancel():
                    continue
                if now >= text.deadline:
                    text.future.set_exception(TimeoutExceededError(self._timeout))
                    continue
                batch.append(text)
                budget -= len(text.token_ids)
        return batch

    def _fail(self, error: Exception) -> None:
        """Fail all texts: the engine has closed."""
        with self._lock:
            self._is_scheduled = False
            waiting = [*self._urgent, *self._others]
            self._urgent.clear()
            self._others.clear()
        for text in waiting:
            if text.future.set_running_or_notify_cancel():
                text.future.set_exception(error)
