"""The tensors of a GGUF file, as ggml reads them: in a moment, however long the vocabulary is."""

from pathlib import Path

from glm3edge.errors import ModelLoadError
from glm3edge.llama import ggml
from glm3edge_convert.gguf.magic import gguf_problem


def tensor_sizes(path: Path) -> dict[str, int]:
    """Bytes of each tensor, in the file's order.

    Raises:
        ModelLoadError: no such file, or no GGUF file.
    """
    if (reason := gguf_problem(path)) is not None:
        raise ModelLoadError(path, reason)
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


def damage(path: Path) -> str | None:
    """What is wrong with a GGUF file that cannot be loaded; None if it is whole."""
    handle = ggml.function("gguf_init_from_file")(str(path).encode(), ggml.METADATA_ONLY)
    if not handle:
        return "it is damaged or cut off; convert or download it again"
    try:
        count = ggml.function("gguf_get_n_tensors")(handle)
        ends = (
            ggml.function("gguf_get_tensor_offset")(handle, index)
            + ggml.function("gguf_get_tensor_size")(handle, index)
            for index in range(count)
        )
        wanted = ggml.function("gguf_get_data_offset")(handle) + max(ends, default=0)
    finally:
        ggml.function("gguf_free")(handle)
    found = path.stat().st_size
    if found >= wanted:
        return None
    return (
        f"it is cut off: {found / 2**20:,.1f} of {wanted / 2**20:,.1f} MiB are there; convert or "
        "download it again"
    )
