"""What is in a GGUF file, read without loading the model."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFReader, GGUFValueType

from glm3edge.errors import ModelFileError
from glm3edge_convert.gguf.magic import gguf_problem
from glm3edge_convert.quantize.recipe import file_type_name

MAX_ARRAY = 8
"""Elements of a metadata array that are shown; a vocabulary has tens of thousands."""

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
    """The tensors of one type."""

    type: str
    num_tensors: int
    num_bytes: int


@dataclass(frozen=True)
class Inspection:
    """A GGUF file. ``num_bytes`` is the file's, with metadata and padding."""

    path: Path
    num_bytes: int
    metadata: dict[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def architecture(self) -> str:
        """What the model is to llama.cpp; empty if the file does not tell."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def type(self) -> str | None:
        """The type it was quantized to, as ``--type`` has it; None if the file does not tell."""
        return file_type_name(self.metadata.get("general.file_type"))

    @property
    def context_length(self) -> int | None:
        """Tokens of context it was trained for; None if the file does not tell."""
        length = self.metadata.get(f"{self.architecture}.context_length")
        return length if isinstance(length, int) else None

    @property
    def type_totals(self) -> list[TypeTotal]:
        """Tensor types, those that take most first."""
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
    # What the reader raises depends on the byte that is wrong.
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
