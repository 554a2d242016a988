"""Inspection of GGUF files: metadata and tensors, read without loading the model."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFReader, GGUFValueType

from glm3edge.errors import ModelFileError
from glm3edge_convert.gguf.magic import gguf_problem
from glm3edge_convert.quantize.recipe import file_type_name

MAX_ARRAY = 8
"""Longest metadata array that is kept whole; a vocabulary has tens of thousands of elements."""

_INTERNAL = "GGUF."  # the reader's own keys


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file; ``shape`` is (rows, row length) or (length,)."""

    name: str
    type: str
    shape: tuple[int, ...]
    num_bytes: int


@dataclass(frozen=True)
class LongArray:
    """The beginning of a metadata array of more than MAX_ARRAY elements."""

    first: tuple[Any, ...]
    length: int


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
    metadata: dict[str, Any]
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
    if (reason := gguf_problem(path)) is not None:
        raise ModelFileError(path, reason)
    try:
        return _read(path)
    # Which exception the reader raises depends on the byte that is wrong.
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
    ) as exc:
        raise ModelFileError(path, "it is damaged; convert or download it again") from exc


def _read(path: Path) -> Inspection:
    reader = GGUFReader(path)
    metadata = {
        name: _value(field)
        for name, field in reader.fields.items()
        if not name.startswith(_INTERNAL)
    }
    tensors = tuple(
        Tensor(
            name=tensor.name,
            type=tensor.tensor_type.name,
            shape=tuple(int(size) for size in reversed(tensor.shape)),
            num_bytes=int(tensor.n_bytes),
        )
        for tensor in reader.tensors
    )
    return Inspection(path, path.stat().st_size, metadata, tensors)


def _value(field: Any) -> Any:
    if field.types[0] is not GGUFValueType.ARRAY:
        return field.contents()
    length = len(field.data)
    first = list(field.contents(slice(MAX_ARRAY))) if length else []
    return first if length <= MAX_ARRAY else LongArray(tuple(first), length)
