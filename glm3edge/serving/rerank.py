"""Rerank service: scores documents by their relevance to a query, and sorts them."""

import asyncio
import math
import uuid
from collections.abc import Sequence
from typing import Protocol

from glm3edge.engine.embedding import Vector
from glm3edge.engine.encoder_queue import EncoderQueue
from glm3edge.errors import ContextLengthExceededError
from glm3edge.schema.base import Usage
from glm3edge.schema.rerank import (
    DocumentObject,
    RerankedText,
    RerankMeta,
    RerankReply,
    RerankRequest,
    RerankResult,
    RerankTokens,
)
from glm3edge.serving.text_limits import check_text_bytes
from glm3edge.serving.vectors import compute_all


class PairEncoder(Protocol):
    """Reranking model. ``glm3edge.llama.reranker.Reranker`` is the implementation; see there."""

    context_size: int
    num_sequences: int

    def tokenize(self, text: str) -> list[int]: ...

    def pair(self, query_ids: Sequence[int], document_ids: Sequence[int]) -> list[int]: ...

    def document_room(self, num_query_tokens: int) -> int: ...


class RerankService:
    """Reranking with one model."""

    def __init__(self, queue: EncoderQueue, encoder: PairEncoder, *, model_id: str) -> None:
        """Rerank with ``encoder``, whose logits ``queue`` computes."""
        self.model_id = model_id
        self._queue = queue
        self._encoder = encoder

    def prepare(self, request: RerankRequest) -> list[list[int]]:
        """Token ids of each pair of query and document. Blocks.

        A document that does not fit beside the query is cut off at its end.

        Raises:
            InvalidRequestError: it has too much text.
            ContextLengthExceededError: the query leaves no room for a document.
        """
        check_text_bytes([request.query], param="query")
        check_text_bytes(map(_text, request.documents), param="documents")
        query_ids = self._encoder.tokenize(request.query)
        context_size = self._encoder.context_size
        if (room := self._encoder.document_room(len(query_ids))) < 1:
            raise ContextLengthExceededError(
                num_prompt_tokens=context_size + 1 - room,  # with one of a document
                num_new_tokens=0,
                context_size=context_size,
                param="query",
            )
        limit = request.max_tokens_per_doc
        return [
            self._encoder.pair(query_ids, self._encoder.tokenize(_text(document))[:limit])
            for document in request.documents
        ]

    async def rerank(self, request: RerankRequest, pairs: Sequence[list[int]]) -> RerankReply:
        """Documents of ``request`` by falling relevance, scored as ``pairs``."""
        num_at_once = 2 * self._encoder.num_sequences  # while one batch is computed, the next waits
        logits = await compute_all(self._logit, pairs, num_at_once=num_at_once)
        order = sorted(range(len(pairs)), key=lambda index: -float(logits[index][0]))
        num_tokens = sum(len(pair) for pair in pairs)
        return RerankReply(
            id=f"rerank-{uuid.uuid4().hex}",
            model=self.model_id,
            results=[
                _result(request, index, float(logits[index][0]))
                for index in order[: request.top_n or None]
            ],
            usage=Usage(prompt_tokens=num_tokens, total_tokens=num_tokens),
            meta=RerankMeta(tokens=RerankTokens(input_tokens=num_tokens)),
        )

    async def _logit(self, token_ids: list[int], *, is_alone: bool, waits: bool) -> Vector:
        future = self._queue.submit(token_ids, is_urgent=is_alone, waits=waits)
        return await asyncio.wrap_future(future)


def sigmoid(logit: float) -> float:
    """Relevance of a logit, in double precision: in single, all above 17 would be 1."""
    if logit < 0:
        return math.exp(logit) / (1 + math.exp(logit))
    return 1 / (1 + math.exp(-logit))


def _text(document: str | DocumentObject) -> str:
    return document if isinstance(document, str) else document.text


def _result(request: RerankRequest, index: int, logit: float) -> RerankResult:
    wants_text = request.return_documents is not False
    text = RerankedText(text=_text(request.documents[index])) if wants_text else None
    return RerankResult(index=index, relevance_score=sigmoid(logit), document=text)
