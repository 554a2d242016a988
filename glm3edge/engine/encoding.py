"""EncoderQueue: texts that wait for an encoder, computed together on the engine's thread.

Two threads that compute at once would take the processor from each other, and far more than half
of it: each has threads of its own that wait actively. So encoders take turns with the chat model's
batches.
"""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glm3edge.engine.engine import Engine
from glm3edge.errors import EngineClosedError

Vector = NDArray[np.float32]

_TOGETHER = 256
"""Tokens of several texts in a batch. An encoder compares each with each, those of other texts too:
with MiniLM 116 to 232 tokens gave most texts a second, 29 two thirds of that, 1,856 as few."""


class TextEncoder(Protocol):
    """``glm3edge.llama.encoder.Encoder`` is the real one; see there."""

    batch_size: int
    num_sequences: int

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]: ...


class EncoderQueue:
    """Takes texts from any thread."""

    def __init__(self, engine: Engine, encoder: TextEncoder) -> None:
        """To compute with ``encoder`` on the thread of ``engine``."""
        self._engine = engine
        self._encoder = encoder
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Sequence[int], Future[Vector]]] = deque()
        self._is_called = False  # whether the engine has been asked to compute

    def submit(self, token_ids: Sequence[int], *, goes_first: bool = False) -> "Future[Vector]":
        """The vector of a text of ``batch_size`` tokens at the most, to come.

        Cancelling it takes the text out. With ``goes_first`` it goes before those that wait. If the
        engine is closed, or closes before, its error is EngineClosedError.
        """
        future: Future[Vector] = Future()
        with self._lock:
            add = self._waiting.appendleft if goes_first else self._waiting.append
            add((token_ids, future))
            is_first, self._is_called = not self._is_called, True
        if is_first:
            self._call()
        return future

    def _call(self) -> None:
        """Ask the engine for a turn."""
        try:
            self._engine.call(self._compute, on_error=self._fail)
        except EngineClosedError as exc:
            self._fail(exc)

    def _compute(self) -> None:
        """One batch, then another turn if more wait."""
        batch = self._next_batch()
        try:
            if batch:
                vectors = self._encoder.encode([token_ids for token_ids, _ in batch])
                for (_, future), vector in zip(batch, vectors, strict=True):
                    future.set_result(vector)
        except Exception as exc:
            for _, future in batch:
                future.set_exception(exc)
        with self._lock:
            self._is_called = bool(self._waiting)
        if self._is_called:
            self._call()

    def _next_batch(self) -> list[tuple[Sequence[int], "Future[Vector]"]]:
        """The first that wait and fit a batch together; beside running replies one alone."""
        limit = 1 if self._engine.num_running else self._encoder.num_sequences
        batch: list[tuple[Sequence[int], Future[Vector]]] = []
        room = min(self._encoder.batch_size, _TOGETHER)
        with self._lock:
            while self._waiting and len(batch) < limit:
                if batch and len(self._waiting[0][0]) > room:
                    break
                token_ids, future = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    batch.append((token_ids, future))
                    room -= len(token_ids)
        return batch

    def _fail(self, error: Exception) -> None:
        """The engine has closed before the turn came."""
        with self._lock:
            self._is_called = False
            waiting = list(self._waiting)
            self._waiting.clear()
        for _, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
