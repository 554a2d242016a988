"""Encoder: embeddings of texts with an encoder model, such as BERT."""

import ctypes
import threading
import unicodedata
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
from numpy.typing import NDArray

from glm3edge.core import Span
from glm3edge.errors import DecodeError, ModelError, ModelLoadError, ResourceClosedError
from glm3edge.llama.batch import Batch
from glm3edge.llama.gguf_file import has_head
from glm3edge.llama.handle import close_context, open_context
from glm3edge.llama.model import Model
from glm3edge.llama.model_checks import ENCODER_ARCHITECTURE
from glm3edge.llama.pointers import floats_at

ARCHITECTURE = ENCODER_ARCHITECTURE  # XLM-RoBERTa's too, in llama.cpp
_POOLINGS = {"1", "2", "3"}  # of llama.cpp: mean, first token, last; they give a text's vector


class Encoder:
    """An encoder model and its context, which keeps nothing from one batch to the next.

    Methods may be called from any thread, one at a time.
    """

    pooling_type = native.LLAMA_POOLING_TYPE_UNSPECIFIED  # the file's
    num_outputs: int | None = None  # numbers that pooling makes of a text, None for a whole vector

    def __init__(
        self, model: Model, *, batch_size: int, num_sequences: int, num_threads: int
    ) -> None:
        """Allocate the memory of a batch.

        Args:
            model: of the architecture ``bert``; it stays open as long as this encoder.
            batch_size: most tokens of one ``encode()``; a text cannot be split over batches.
            num_sequences: most texts of one ``encode()``.
            num_threads: compute threads.

        Raises:
            ModelLoadError: the model is of another kind, or its file lacks what it has to say.
            ModelError: llama.cpp could not make it, most often for lack of memory.
        """
        problem = self._problem(model)
        if problem is None and len(model.tokenize("", add_special=True)) != 2:
            problem = "it does not say which tokens a text begins and ends with"
        if problem is not None:
            raise ModelLoadError(model.path, problem)
        self.model = model
        self.batch_size = batch_size
        self.num_sequences = num_sequences
        self.embedding_length = model.embedding_length
        self._vector_type: Any = ctypes.c_float * (self.num_outputs or model.embedding_length)
        self.context_size = min(model.context_length, batch_size)
        self._strips_accents = _strips_accents(model)
        self._lock = threading.Lock()
        self._handle: Any = open_context(
            model,
            what="an encoder",
            size=batch_size,
            batch_size=batch_size,
            num_threads=num_threads,
            n_seq_max=num_sequences,
            embeddings=True,
            pooling_type=self.pooling_type,
            kv_unified=True,
        )
        self._batch = Batch(batch_size)

    def _problem(self, model: Model) -> str | None:
        """Why ``model`` makes no embeddings; None if it does."""
        if has_head(model.path):
            return "it is a reranker: serve it with --rerank-model"
        if model.metadata(f"{ARCHITECTURE}.pooling_type") not in _POOLINGS:
            return "it does not say how the vectors of tokens are pooled to that of a text"
        return None

    def __enter__(self) -> "Encoder":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text, with the special tokens that the model expects at its ends."""
        if self._strips_accents:
            # llama.cpp decomposes characters for this, but not those of Hangul.
            text = unicodedata.normalize("NFD", text)
        return self.model.tokenize(text, add_special=True)

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Embeddings of ``texts``, given as token ids with the special tokens at their ends.

        Returns:
            ``[len(texts), embedding_length]``, pooled as the model says and scaled to length 1.

        Raises:
            DecodeError: llama.cpp failed.
        """
        vectors = self._pooled(texts)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
        return scaled

    def _pooled(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """What llama.cpp makes of each text, a row for each."""
        with self._lock:
            if self._handle is None:
                raise ResourceClosedError("the encoder is closed")
            spans = [Span(n, 0, ids, wants_output=True) for n, ids in enumerate(texts)]
            self._batch.fill(spans, hidden_states=True)
            code = native.llama_encode(self._handle, self._batch.native)
            if code != 0:
                raise DecodeError(code)
            return np.stack([self._vector(number) for number in range(len(texts))])

    def _vector(self, number: int) -> NDArray[np.float32]:
        pointer = native.llama_get_embeddings_seq(self._handle, number)
        if not pointer:
            raise ModelError("llama.cpp kept no vector of a text")
        return np.array(floats_at(pointer, self._vector_type))

    def close(self) -> None:
        """Free the memory, after a running call; later calls do nothing."""
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            self._batch.close()
            close_context(self.model, handle)


def _strips_accents(model: Model) -> bool:
    """Whether accents are stripped before tokenization: WordPiece with its usual settings."""
    if model.metadata("tokenizer.ggml.model") != "bert":
        return False
    settings = ("tokenizer.ggml.normalizer.strip_accents", "tokenizer.ggml.normalizer.lowercase")
    return next((value for name in settings if (value := model.metadata(name))), "true") == "true"
