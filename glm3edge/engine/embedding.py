"""Embedding of a text: a sequence whose result is one pooled vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm3edge.core import FinishedEvent, FinishReason, Priority
from glm3edge.engine.backend import Backend
from glm3edge.engine.request import Sink
from glm3edge.engine.sequence import EngineSequence

Vector = NDArray[np.float32]
"""Unit vector, ``[embedding_length]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingEvent(FinishedEvent):
    """The only event of an embedding.

    Attributes:
        vector: the embedding, if reason is STOP.
    """

    vector: Vector | None = None


class Embedding(EngineSequence):
    """Mean of the hidden states after the final norm, scaled to length 1.

    The first ``num_skipped`` tokens are left out of the mean: the hidden states of a model's first
    positions are the same for every text, and large.
    """

    needs_hidden_states = True

    def __init__(
        self,
        token_ids: Sequence[int],
        sink: Sink,
        *,
        num_skipped: int = 0,
        priority: Priority = Priority.INTERACTIVE,
    ) -> None:
        super().__init__(token_ids, sink, priority=priority)
        if num_skipped >= len(self.token_ids):
            raise ValueError("no tokens are left to pool")
        self._num_skipped = num_skipped
        self._sum: Any = 0.0

    def preempt(self) -> None:
        super().preempt()
        self._sum = 0.0

    def advance(self, backend: Backend[Any], *, num_tokens: int, index: int) -> list[Any]:
        skip = max(self._num_skipped - self.num_computed, 0)
        states = backend.hidden_states(index + 1 - num_tokens, num_tokens)[skip:]
        self._sum += states.sum(axis=0, dtype=np.float64)
        self.num_computed += num_tokens
        if self.num_pending:
            return []
        self.is_done = True
        return [EmbeddingEvent(FinishReason.STOP, vector=normalized(self._sum))]

    def end(self, reason: FinishReason, error: Exception | None = None) -> EmbeddingEvent:
        return EmbeddingEvent(reason, error)


def normalized(vector: NDArray[np.floating[Any]]) -> Vector:
    """``vector`` scaled to length 1; zeros stay zeros."""
    norm = float(np.linalg.norm(vector))
    return (vector / norm if norm > 0 else vector).astype(np.float32)
