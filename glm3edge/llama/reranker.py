"""Reranker: scores of documents for a query with an encoder that has a classification head.

The pair is one text, ``<s> query </s></s> document </s>``, as XLM-RoBERTa was trained with.
llama.cpp has only the first token type, so the rerankers of BERT, which need two, would score
wrongly.
"""

from collections.abc import Sequence

import llama_cpp.llama_cpp as native
import numpy as np
from numpy.typing import NDArray

from glm3edge.llama.encoder import Encoder
from glm3edge.llama.gguf_file import has_head
from glm3edge.llama.model import Model

_UNIGRAMS = "t5"  # GGUF's name for XLM-RoBERTa's tokenizer
_NUM_MARKS = 4
_NUM_ENDS = 2


class Reranker(Encoder):
    """Encoder whose output is one number for each text, which is a pair."""

    pooling_type = native.LLAMA_POOLING_TYPE_RANK
    num_outputs = 1

    def _problem(self, model: Model) -> str | None:
        if not has_head(model.path):
            return "it has no classification head, so it is not a reranker; give one (bge-reranker)"
        if model.num_labels != 1:
            return "its classification head has several labels, and a reranker's has one"
        if model.metadata("tokenizer.ggml.model") != _UNIGRAMS:
            return "it is not an XLM-RoBERTa reranker (bge-reranker), and only those are supported"
        if len(model.tokenize("", add_special=True)) != _NUM_ENDS:
            return "its tokenizer does not mark where texts begin and end; convert it again"
        return None

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a query or a document, without special tokens."""
        return self.model.tokenize(text)

    def pair(self, query_ids: Sequence[int], document_ids: Sequence[int]) -> list[int]:
        """Token ids of a pair; what does not fit of the document is left out."""
        begin, end = self.model.tokenize("", add_special=True)
        room = self.document_room(len(query_ids))
        return [begin, *query_ids, end, end, *document_ids[:room], end]

    def document_room(self, num_query_tokens: int) -> int:
        """Tokens of a document that fit beside a query; none if not positive."""
        return self.context_size - num_query_tokens - _NUM_MARKS

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits of pairs, ``[len(texts), 1]``; higher is more relevant.

        Raises:
            DecodeError: llama.cpp failed.
        """
        return self._pooled(texts)
