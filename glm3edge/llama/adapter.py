"""LoRA adapters: GGUF files that change a model's weights, loaded for contexts to compute with."""

import ctypes
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import llama_cpp.llama_cpp as native

from glm3edge.errors import ModelLoadError
from glm3edge.llama import library
from glm3edge.llama.model import Model
from glm3edge.llama.model_checks import check_lora
from glm3edge_convert.adapters.width import differs_by_padding, write_fitted
from glm3edge_convert.gguf.reader import GgufHeader

_CHUNK_BYTES = 2**20


class Adapter:
    """A LoRA adapter of a model, applied ``scale`` times. Its memory is freed with the model's."""

    def __init__(self, model: Model, path: Path, *, scale: float = 1.0) -> None:
        """Load ``path``, before contexts are made of ``model``: they reserve memory for it.

        Raises:
            ModelLoadError: no such file, no GGUF adapter, or one of another model.
            ResourceClosedError: the model is closed.
        """
        header = check_lora(path)
        self.path = path
        self.scale = scale
        handle = model.acquire()
        try:
            with (
                _fitted(header, model.feed_forward_length) as file,
                library.first_error() as reason,
            ):
                pointer = native.llama_adapter_lora_init(handle, str(file).encode())
        finally:
            model.release()
        if not pointer:
            raise ModelLoadError(path, reason())
        self._handles: Any = (native.llama_adapter_lora_p_ctypes * 1)(pointer)
        self._scales: Any = (ctypes.c_float * 1)(scale)

    @property
    def fingerprint(self) -> str:
        """Digest of the whole file and the scale."""
        digest = hashlib.blake2b(repr(self.scale).encode(), digest_size=16)
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    def apply(self, context: Any) -> None:
        """Make llama.cpp's ``context`` compute with this adapter and no other."""
        native.llama_set_adapters_lora(context, self._handles, 1, self._scales)


@contextmanager
def _fitted(header: GgufHeader, ffn_size: int) -> Iterator[Path]:
    """The adapter's file, or for the time being a copy with the model's feed-forward width.

    Raises:
        ModelLoadError: the copy cannot be written.
    """
    if not differs_by_padding(header, ffn_size):
        yield header.path
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(TemporaryDirectory(prefix="glm3edge-"))
            copy = Path(folder) / "adapter.gguf"
            is_fitted = write_fitted(header, ffn_size, copy)
        except (OSError, ValueError) as exc:
            problem = f"a copy that fits the model cannot be written: {exc}"
            raise ModelLoadError(header.path, problem) from exc
        yield copy if is_fitted else header.path


def apply_none(context: Any) -> None:
    """Make llama.cpp's ``context`` compute with the model alone."""
    native.llama_set_adapters_lora(context, None, 0, None)
