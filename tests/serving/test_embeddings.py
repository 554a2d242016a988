"""The embedding service over a scripted embedder."""

import numpy as np
import pytest

from glm3edge.engine.embedding import Vector
from glm3edge.errors import ContextLengthExceededError
from glm3edge.schema.embeddings import EmbeddingsRequest
from glm3edge.serving.embeddings import EmbeddingService


class ScriptedEmbedder:
    """Embedder whose tokens are code points between 1 and, where it has an end, 2."""

    model_id = "scripted"
    embedding_length = 2
    context_size = 5
    num_at_once = 1

    def __init__(self, num_end_tokens: int) -> None:
        self.num_end_tokens = num_end_tokens

    def encode(self, item: str | list[int]) -> list[int]:
        assert isinstance(item, str)
        return [1, *map(ord, item), *[2] * self.num_end_tokens]

    async def vector(self, token_ids: list[int], *, is_alone: bool, waits: bool) -> Vector:
        return np.zeros(2, dtype=np.float32)


@pytest.mark.parametrize(
    ("num_end_tokens", "text", "expected"),
    [
        (0, "abcd", [1, 97, 98, 99, 100]),
        (0, "abcdefg", [1, 97, 98, 99, 100]),
        (1, "abc", [1, 97, 98, 99, 2]),
        (1, "abcdefg", [1, 97, 98, 99, 2]),
    ],
)
def test_long_texts_are_cut_where_that_is_asked(
    num_end_tokens: int, text: str, expected: list[int]
) -> None:
    service = EmbeddingService(ScriptedEmbedder(num_end_tokens))
    request = EmbeddingsRequest(input=text)
    assert service.prepare(request, truncate=True) == [expected]
    if len(text) > 4:
        with pytest.raises(ContextLengthExceededError):
            service.prepare(request)
