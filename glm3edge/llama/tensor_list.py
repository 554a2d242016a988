"""The tensors of a GGUF file, as ggml reads them: in a moment, however long the vocabulary is."""

from pathlib import Path

from glm3edge.errors import ModelLoadError
from glm3edge.llama import ggml
from glm3edge.llama.model import check_is_gguf


def tensor_sizes(path: Path) -> dict[str, int]:
    """Bytes of each tensor, in the file's order.

    Raises:
        ModelLoadError: no such file, or no GGUF file.
    """
    check_is_gguf(path)
    handle = ggml.function("gguf_init_from_file")(str(path).encode(), ggml.METADATA_ONLY)
    if not handle:
        raise ModelLoadError(path, "it is damaged")
    try:
        count = ggml.function("gguf_get_n_tensors")(handle)
        return {
            ggml.function("gguf_get_tensor_name")(handle, index).decode(): int(
                ggml.function("gguf_get_tensor_size")(handle, index)
            )
            for index in range(count)
        }
    finally:
        ggml.function("gguf_free")(handle)
