"""GGUF files, read by ggml: their tensors' sizes, and whether they are whole.

ggml takes a moment, however long the vocabulary is.
"""

from pathlib import Path

from glm3edge.errors import ModelLoadError
from glm3edge.llama import ggml
from glm3edge_convert.gguf.magic import gguf_problem

_HEAD = {"cls.weight", "cls.output.weight"}


def check_is_gguf(path: Path) -> None:
    """Raise ModelLoadError unless ``path`` is a file that begins as GGUF files do."""
    if (reason := gguf_problem(path)) is not None:
        raise ModelLoadError(path, reason)


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


def has_head(path: Path) -> bool:
    """Whether an encoder's file has the classification head of a reranker.

    llama.cpp's own converter does not write the pooling type of rerankers.

    Raises:
        ModelLoadError: no such file, or no GGUF file.
    """
    return tensor_sizes(path).keys() >= _HEAD


def gguf_damage(path: Path) -> str | None:
    """Damage of a GGUF file: a header that cannot be read, or missing data; None if it is whole."""
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
        expected = ggml.function("gguf_get_data_offset")(handle) + max(ends, default=0)
    finally:
        ggml.function("gguf_free")(handle)
    found = path.stat().st_size
    if found >= expected:
        return None
    return (
        f"it is cut off: {found / 2**20:,.1f} of {expected / 2**20:,.1f} MiB are there; convert or "
        "download it again"
    )
