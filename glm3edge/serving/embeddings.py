"""Embedding service: tokenizes texts, computes their vectors, encodes the reply."""

import base64
from typing import Any, Protocol

from glm3edge.engine.embedding import Vector, normalized
from glm3edge.errors import ContextLengthExceededError, InvalidRequestError
from glm3edge.schema.base import Usage
from glm3edge.schema.embeddings import EmbeddingItem, EmbeddingsReply, EmbeddingsRequest
from glm3edge.serving.text_limits import check_text_bytes
from glm3edge.serving.vectors import compute_all


class Embedder(Protocol):
    """Source of vectors; ``glm3edge.serving.embedders`` has two.

    Attributes:
        model_id: name of the model.
        embedding_length: numbers in a vector.
        context_size: tokens that a text may have.
        num_at_once: texts that are worth computing concurrently.
        num_end_tokens: special tokens at a text's end.
    """

    model_id: str
    embedding_length: int
    context_size: int
    num_at_once: int
    num_end_tokens: int

    def encode(self, item: str | list[int]) -> list[int]:
        """Token ids of a text, or given ones, with the special tokens that the model expects.

        Raises:
            InvalidRequestError: there is no such token, or nothing to embed.
        """

    async def vector(self, token_ids: list[int], *, is_alone: bool, waits: bool) -> Vector:
        """Unit vector of one text, of shape ``[embedding_length]``.

        Args:
            token_ids: of the text.
            is_alone: the request has no other text.
            waits: the request has begun, so that a full queue is waited for.
        """


class EmbeddingService:
    """Embeddings of one embedder."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def model_id(self) -> str:
        """Name of the model."""
        return self._embedder.model_id

    def prepare(self, request: EmbeddingsRequest, *, truncate: bool = False) -> list[list[int]]:
        """Token ids of each input; with ``truncate`` those of longer ones are cut. Blocks.

        Raises:
            InvalidRequestError: an input is empty, or no token of this model's.
            ContextLengthExceededError: an input does not fit the context.
        """
        length = self._embedder.embedding_length
        if request.dimensions is not None and request.dimensions > length:
            text = f"dimensions is at most {length}, the width of this model"
            raise InvalidRequestError(text, param="dimensions")
        inputs = _inputs(request)
        check_text_bytes((item for item in inputs if isinstance(item, str)), param="input")
        return [self._encode(item, truncate=truncate) for item in inputs]

    async def embed(self, request: EmbeddingsRequest, inputs: list[list[int]]) -> EmbeddingsReply:
        """Vectors of ``inputs``, encoded as ``request`` asks."""
        embedder = self._embedder
        vectors = await compute_all(embedder.vector, inputs, num_at_once=embedder.num_at_once)
        data = [
            EmbeddingItem(
                index=index, embedding=_encoded(_shortened(vector, request.dimensions), request)
            )
            for index, vector in enumerate(vectors)
        ]
        num_tokens = sum(len(token_ids) for token_ids in inputs)
        usage = Usage(prompt_tokens=num_tokens, total_tokens=num_tokens)
        return EmbeddingsReply(data=data, model=embedder.model_id, usage=usage)

    def _encode(self, item: str | list[int], *, truncate: bool) -> list[int]:
        ids = self._embedder.encode(item) if item else []
        if not ids:
            raise InvalidRequestError("input has an empty text", param="input")
        if truncate:
            ids = self._truncated(ids)
        if len(ids) > self._embedder.context_size:
            raise ContextLengthExceededError(
                num_prompt_tokens=len(ids),
                num_new_tokens=0,
                context_size=self._embedder.context_size,
                param="input",
            )
        return ids

    def _truncated(self, ids: list[int]) -> list[int]:
        num_excess = max(len(ids) - self._embedder.context_size, 0)
        end = len(ids) - self._embedder.num_end_tokens
        return ids[: end - num_excess] + ids[end:]


def _inputs(request: EmbeddingsRequest) -> list[str | list[int]]:
    given: Any = request.input  # one text, one list of token ids, or a list of either
    is_one = isinstance(given, str) or isinstance(given[0], int)
    return [given] if is_one else given


def _shortened(vector: Vector, dimensions: int | None) -> Vector:
    """The first ``dimensions`` numbers, scaled to length 1 again."""
    return vector if dimensions is None else normalized(vector[:dimensions])


def _encoded(vector: Vector, request: EmbeddingsRequest) -> list[float] | str:
    if request.encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(number) for number in vector]
