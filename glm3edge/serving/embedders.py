"""Embedders: vectors of texts from the chat model, or from a model made for embeddings."""

import asyncio
from functools import partial

from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary, check_token_ids
from glm3edge.core import Priority
from glm3edge.engine.async_stream import stream_events
from glm3edge.engine.embedding import Embedding, EmbeddingEvent, Vector
from glm3edge.engine.encoder_queue import EncoderQueue
from glm3edge.engine.engine import Engine
from glm3edge.errors import EngineError
from glm3edge.llama.encoder import Encoder
from glm3edge.serving.streams import closing_on_exit
from glm3edge.serving.text_limits import TextMeter

_SEND_TEXTS = (
    "send texts (LangChain's OpenAIEmbeddings sends ids of OpenAI's tokenizer, unless it has "
    "check_embedding_ctx_length=False)"
)


class ChatModelEmbedder:
    """Embedder that takes the mean of a chat model's hidden states over a text's tokens."""

    num_end_tokens = 0

    def __init__(
        self, engine: Engine, vocabulary: Vocabulary, *, model_id: str, embedding_length: int
    ) -> None:
        self.model_id = model_id
        self.embedding_length = embedding_length
        self.context_size = engine.context_size
        self.num_at_once = engine.max_running
        self._engine = engine
        self._vocabulary = vocabulary
        self._meter = TextMeter(vocabulary)
        self._prefix = SpecialTokens.of(vocabulary).prefix

    def encode(self, item: str | list[int]) -> list[int]:
        """Token ids, after the prefix that the model expects."""
        if isinstance(item, str):
            self._meter.check([item], param="input")
            return [*self._prefix, *self._vocabulary.tokenize(item)]
        check_token_ids(item, self._vocabulary, param="input", hint=_SEND_TEXTS)
        return [*self._prefix, *item]

    async def vector(self, token_ids: list[int], *, is_alone: bool, waits: bool) -> Vector:
        """Vector of one text; those of requests with many texts have background priority."""
        priority = Priority.INTERACTIVE if is_alone else Priority.BACKGROUND
        make = partial(Embedding, token_ids, num_skipped=len(self._prefix), priority=priority)
        arriving = stream_events(lambda sink: self._engine.submit(make(sink)), waits=waits)
        async with closing_on_exit(arriving) as events:
            async for arrived in events:
                last = arrived[-1]
                if isinstance(last, EmbeddingEvent) and last.vector is not None:
                    return last.vector
        raise EngineError("the embedding ended without a vector")


class EncoderEmbedder:
    """Embedder that runs an encoder, such as BERT, pooled as its own configuration says."""

    num_end_tokens = 1

    def __init__(self, queue: EncoderQueue, encoder: Encoder) -> None:
        self.model_id = encoder.model.name
        self.embedding_length = encoder.embedding_length
        self.context_size = encoder.context_size
        self.num_at_once = 2 * encoder.num_sequences  # while one batch is computed, the next waits
        self._queue = queue
        self._encoder = encoder

    def encode(self, item: str | list[int]) -> list[int]:
        """Token ids, between the tokens that the model expects at a text's ends."""
        if isinstance(item, str):
            return self._encoder.tokenize(item)
        check_token_ids(item, self._encoder.model, param="input", hint=_SEND_TEXTS)
        ends = self._encoder.tokenize("")
        has_ends = len(item) > 1 and [item[0], item[-1]] == ends
        return item if has_ends else [ends[0], *item, ends[1]]

    async def vector(self, token_ids: list[int], *, is_alone: bool, waits: bool) -> Vector:
        """Vector of one text, computed in one batch with others that wait."""
        future = self._queue.submit(token_ids, is_urgent=is_alone, waits=waits)
        return await asyncio.wrap_future(future)
