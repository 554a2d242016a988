"""Embeddings in the engine."""

import threading

import numpy as np
import pytest

from glm3edge.core import (
    FinishReason,
)
from glm3edge.engine.embedding import Embedding, EmbeddingEvent
from tests.support.engine_client import Client
from tests.support.fakes import EOS, FakeBackend, spell


def test_an_embedding_is_the_normalized_mean(backend: FakeBackend, client: Client) -> None:
    event = client.embed("a" * 40 + "c" * 40, num_skipped=40).end()
    assert isinstance(event, EmbeddingEvent)
    assert event.vector is not None
    mean = np.full(4, spell("c")[0]) + np.arange(4)
    np.testing.assert_allclose(event.vector, mean / np.linalg.norm(mean), rtol=1e-6)
    assert event.vector.dtype == np.float32


def test_embeddings_and_replies_do_not_share_a_batch(backend: FakeBackend, client: Client) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda prompt: [*prompt, EOS]
    listeners = [client.generate("one"), client.embed("two"), client.generate("three")]
    backend.gate.release(100)
    assert listeners[0].text() == "one"
    assert listeners[1].end().reason is FinishReason.STOP
    assert listeners[2].text() == "three"
    for batch in backend.batches:
        assert len(batch) == 1 or spell("two") not in [list(span.token_ids) for span in batch]


def test_empty_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Embedding([], lambda _event: None)
    with pytest.raises(ValueError, match="no tokens are left"):
        Embedding([1, 2], lambda _event: None, num_skipped=2)
