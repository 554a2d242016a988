"""The join for embeddings: request -> token ids -> engine -> vectors."""

import asyncio
import base64
from contextlib import aclosing
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary, check_token_ids
from glm3edge.engine.embedder import Embedding, EmbeddingEvent, normalized
from glm3edge.engine.engine import Engine
from glm3edge.engine.stream import gather, stream_events
from glm3edge.errors import ContextLengthExceededError, EngineError, InvalidRequestError
from glm3edge.schema.base import Usage
from glm3edge.schema.embeddings import EmbeddingItem, EmbeddingsReply, EmbeddingsRequest
from glm3edge.types import Priority

Vector = NDArray[np.float32]


class EmbeddingMaker:
    """Embeds texts with the chat model: the mean of its hidden states over a text's tokens."""

    def __init__(
        self,
        engine: Engine,
        vocabulary: Vocabulary,
        *,
        model_id: str,
        embedding_length: int,
    ) -> None:
        self._engine = engine
        self._vocabulary = vocabulary
        self._special = SpecialTokens.of(vocabulary)
        self._model_id = model_id
        self._embedding_length = embedding_length

    def prepare(self, request: EmbeddingsRequest) -> list[list[int]]:
        """Token ids of each input, with the prefix the model expects. Blocks.

        Raises:
            InvalidRequestError: an input is empty, or no token of this model's.
            ContextLengthExceededError: an input does not fit the context.
        """
        if request.dimensions is not None and request.dimensions > self._embedding_length:
            text = f"dimensions is at most {self._embedding_length}, the width of this model"
            raise InvalidRequestError(text, param="dimensions")
        return [self._encode(item) for item in _inputs(request)]

    async def embed(self, request: EmbeddingsRequest, inputs: list[list[int]]) -> EmbeddingsReply:
        """The vectors of ``inputs``, as ``request`` wants them."""
        places = asyncio.Semaphore(self._engine.max_running)
        priority = Priority.INTERACTIVE if len(inputs) == 1 else Priority.BACKGROUND

        async def item(index: int, token_ids: list[int]) -> EmbeddingItem:
            async with places:
                waits = index >= self._engine.max_running
                vector = await self._vector(token_ids, priority, waits=waits)
            embedding = _encoded(_shortened(vector, request.dimensions), request)
            return EmbeddingItem(index=index, embedding=embedding)

        data = await gather(item(index, token_ids) for index, token_ids in enumerate(inputs))
        num_tokens = sum(len(token_ids) for token_ids in inputs)
        usage = Usage(prompt_tokens=num_tokens, total_tokens=num_tokens)
        return EmbeddingsReply(data=data, model=self._model_id, usage=usage)

    async def _vector(self, token_ids: list[int], priority: Priority, *, waits: bool) -> Vector:
        make = partial(
            Embedding, token_ids, num_skipped=len(self._special.prefix), priority=priority
        )
        async with aclosing(stream_events(self._engine, make, waits=waits)) as events:
            async for arrived in events:
                last = arrived[-1]
                if isinstance(last, EmbeddingEvent) and last.vector is not None:
                    return last.vector
        raise EngineError("the embedding ended without a vector")

    def _encode(self, item: str | list[int]) -> list[int]:
        ids = self._vocabulary.tokenize(item) if isinstance(item, str) else item
        if not ids:
            raise InvalidRequestError("input has an empty text", param="input")
        check_token_ids(ids, self._vocabulary, param="input")
        ids = [*self._special.prefix, *ids]
        if len(ids) > self._engine.context_size:
            raise ContextLengthExceededError(
                num_prompt_tokens=len(ids),
                num_new_tokens=0,
                context_size=self._engine.context_size,
                param="input",
            )
        return ids


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
