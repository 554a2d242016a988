"""Sources of logits: llama.cpp with a GGUF file, or the NumPy reference with a checkpoint.

Every file is computed in batches of a window: llama.cpp's arithmetic depends on the batch size.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glm3edge.chatglm3.calibration import Windows
from glm3edge.commands.verify.limits import EXACT, max_mean_kl
from glm3edge.commands.verify.reference import Reference
from glm3edge.commands.verify.shape import KEYS, shape_of
from glm3edge.commands.verify.vocabulary import CheckpointVocabulary, ListedVocabulary
from glm3edge.core import Span
from glm3edge.llama.context import Context
from glm3edge.llama.model import Model
from glm3edge_convert.models.chatglm.hparams import ARCHITECTURE

Array = NDArray[np.float32]


class Source(Protocol):
    """Model that predicts tokens.

    Attributes:
        path: its file or folder.
        type: the output type of a file, or ``checkpoint``.
        kv_type: data type of the KV cache.
        limit: of the mean KL divergence of such a file, None if none is known.
        shape: values of ``shape.KEYS``.
        vocabulary: its tokenizer.
    """

    path: Path
    type: str
    kv_type: str
    limit: float | None
    shape: dict[str, float]
    vocabulary: ListedVocabulary

    def logits(self, windows: Windows) -> Iterator[Array]:
        """Compute for each window the logits that predict its second half.

        Yields:
            ``[num_predicted, vocab_size]``.

        Raises:
            ModelError: the model cannot be loaded or computed.
        """

    def close(self) -> None:
        """Free the model."""


class GgufSource:
    """GGUF file. Its vocabulary is loaded at once, its weights for ``logits()`` only."""

    def __init__(self, path: Path, *, num_threads: int, kv_type: str = EXACT) -> None:
        """Load the vocabulary of ``path``.

        Args:
            path: the file.
            num_threads: compute threads.
            kv_type: data type of the KV cache, one of ``FILE_KV_TYPES``.

        Raises:
            ModelLoadError: it is no GGUF file, of another architecture, or damaged.
        """
        self.path = path
        self.kv_type = kv_type
        self._num_threads = num_threads
        self._vocabulary = Model(path, vocab_only=True)
        self.vocabulary: ListedVocabulary = self._vocabulary
        self.type = self._vocabulary.file_type or "unknown"
        self.limit = max_mean_kl(self.type, self._vocabulary.num_params, kv_type)
        self.shape = shape_of(self._vocabulary)

    def logits(self, windows: Windows) -> Iterator[Array]:
        """See Source."""
        count = windows.num_predicted
        with (
            Model(self.path) as model,
            Context(
                model,
                context_size=windows.size,
                batch_size=windows.size,
                num_sequences=1,
                num_threads=self._num_threads,
                **_precision(self.kv_type),
            ) as context,
        ):
            for row in windows.rows:
                span = Span(0, 0, row[:-1], wants_output=True, num_drafts=count - 1)
                (last,) = context.decode([span])
                yield context.logits(last + 1 - count, count)
                context.truncate(0, 0)

    def close(self) -> None:
        """See Source."""
        self._vocabulary.close()


class CheckpointSource:
    """Hugging Face checkpoint folder of ChatGLM3."""

    type = "checkpoint"
    kv_type = EXACT
    limit: float | None = None

    def __init__(self, folder: Path) -> None:
        """Open ``folder`` and read its configuration and tokenizer.

        Raises:
            ConvertError: it is no checkpoint of ChatGLM3, or damaged.
        """
        self.path = folder
        self._reference = Reference(folder)
        hparams = self._reference.hparams
        self.vocabulary: ListedVocabulary = CheckpointVocabulary(folder, hparams.vocab_size)
        values = hparams.to_gguf()
        self.shape = {key: float(values[f"{ARCHITECTURE}.{key}"]) for key in KEYS}

    def logits(self, windows: Windows) -> Iterator[Array]:
        """See Source."""
        rows = [row[:-1] for row in windows.rows]
        return self._reference.logits(rows, windows.num_predicted)

    def close(self) -> None:
        """See Source."""


def open_original(path: Path, *, num_threads: int) -> Source:
    """Open the model that files are compared with: a checkpoint folder or a GGUF file.

    Raises:
        ModelLoadError, ConvertError: it cannot be used.
    """
    if path.is_dir():
        return CheckpointSource(path)
    return GgufSource(path, num_threads=num_threads)


def _precision(kv_type: str) -> dict[str, Any]:
    """Parameters of a context with such a KV cache."""
    return {"precise": True} if kv_type == EXACT else {"kv_type": kv_type}
