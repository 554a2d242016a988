"""GGUF files: read here, within bounds, before llama.cpp reads them."""

from collections.abc import Collection
from pathlib import Path

from glm3edge.errors import ModelLoadError
from glm3edge_convert.errors import GgufError
from glm3edge_convert.gguf.reader import GgufHeader, read_header

_HEAD = {"cls.weight", "cls.output.weight"}


def read_gguf(path: Path, *, whole: Collection[str] = ()) -> GgufHeader:
    """The header of a file whose data is all there; arrays under the keys ``whole`` are whole.

    Raises:
        ModelLoadError: no such file, no GGUF file, or a damaged one.
    """
    try:
        return read_header(path, whole=whole)
    except GgufError as exc:
        raise ModelLoadError(path, exc.reason) from exc


def tensor_sizes(path: Path) -> dict[str, int]:
    """Bytes of each tensor, in the file's order.

    Raises:
        ModelLoadError: no such file, or no GGUF file.
    """
    return {tensor.name: tensor.num_bytes for tensor in read_gguf(path).tensors.values()}


def has_head(path: Path) -> bool:
    """Whether an encoder's file has the classification head of a reranker.

    llama.cpp's own converter does not write the pooling type of rerankers.

    Raises:
        ModelLoadError: no such file, or no GGUF file.
    """
    return read_gguf(path).tensors.keys() >= _HEAD
