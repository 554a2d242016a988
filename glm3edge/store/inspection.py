"""Inspection of GGUF files: metadata and tensors, read without loading the model."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm3edge.errors import ModelFileError
from glm3edge_convert.errors import GgufError
from glm3edge_convert.gguf.reader import read_header
from glm3edge_convert.quantize.recipe import file_type_name


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file; ``shape`` is (rows, row length) or (length,)."""

    name: str
    type: str
    shape: tuple[int, ...]
    num_bytes: int


@dataclass(frozen=True)
class TypeTotal:
    """Number and size of the tensors of one type."""

    type: str
    num_tensors: int
    num_bytes: int


@dataclass(frozen=True)
class Inspection:
    """Contents of a GGUF file. ``num_bytes`` is the file's size, with metadata and padding."""

    path: Path
    num_bytes: int
    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def architecture(self) -> str:
        """The model's architecture by llama.cpp's name; empty if the file lacks it."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def type(self) -> str | None:
        """The type it was quantized to, as ``--type`` names it; None if the file lacks it."""
        return file_type_name(self.metadata.get("general.file_type"))

    @property
    def context_length(self) -> int | None:
        """Tokens of context it was trained for; None if the file lacks it."""
        length = self.metadata.get(f"{self.architecture}.context_length")
        return length if isinstance(length, int) else None

    @property
    def type_totals(self) -> list[TypeTotal]:
        """Totals by tensor type, the largest first."""
        counts, sizes = Counter[str](), Counter[str]()
        for tensor in self.tensors:
            counts[tensor.type] += 1
            sizes[tensor.type] += tensor.num_bytes
        return [TypeTotal(name, counts[name], size) for name, size in sizes.most_common()]


def inspect(path: Path) -> Inspection:
    """Read a file's metadata and the list of its tensors.

    Raises:
        ModelFileError: there is no such file, it is no GGUF file, or it is damaged.
    """
    try:
        header = read_header(path)
    except GgufError as exc:
        raise ModelFileError(path, exc.reason) from exc
    tensors = tuple(
        Tensor(tensor.name, tensor.type.name, tensor.shape, tensor.num_bytes)
        for tensor in header.tensors.values()
    )
    return Inspection(path, header.num_bytes, header.metadata, tensors)
