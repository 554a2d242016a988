"""Importance matrices: how much each column of each matrix is used, in llama.cpp's GGUF form.

    general.type                 "imatrix"
    imatrix.datasets             names of the texts
    imatrix.chunk_count, .chunk_size   how much of them was read, in tokens
    <tensor>.in_sum2             sums of the squares of the matrix's inputs, by column
    <tensor>.counts              number of tokens in the sums

Columns that are used much are rounded with more care: sum / count weighs a column's errors.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from glm3edge_convert.errors import GgufError, ImatrixError
from glm3edge_convert.gguf.header import TensorInfo
from glm3edge_convert.gguf.reader import read_header
from glm3edge_convert.gguf.writer import open_gguf

_DATASETS = "imatrix.datasets"
SUMS, COUNTS = ".in_sum2", ".counts"
MAX_MEAN_SQUARE = 1e20
"""Larger ones are no model's, and overflow where ggml squares them."""


@dataclass(frozen=True)
class Imatrix:
    """Mean squares of the inputs of each matrix.

    Attributes:
        name: the file's name.
        weights: float32 by tensor, one for each column.
        datasets: names of the texts.
        num_chunks: how much of them was read.
    """

    name: str
    weights: Mapping[str, NDArray[np.float32]]
    datasets: Sequence[str] = field(default_factory=tuple)
    num_chunks: int = 0

    def fitted(
        self, row_sizes: Mapping[str, int], *, needed: Iterable[str], padded: Mapping[int, int]
    ) -> "Imatrix":
        """Reduce to the matrices of a model, and pad to their row lengths.

        Args:
            row_sizes: row lengths of the model's matrices.
            needed: matrices that cannot be quantized without importances.
            padded: row lengths before padding, and after it; padding gets zeros.

        Raises:
            ImatrixError: row lengths differ, as of another model, or a needed matrix is missing.
        """
        weights = {}
        for name, row_size in row_sizes.items():
            if (found := self.weights.get(name)) is None:
                continue
            if padded.get(found.size) == row_size:
                found = np.pad(found, (0, row_size - found.size))
            if found.size != row_size:
                problem = (
                    f"{self.name} has {found.size} values for {name}, whose rows have {row_size}"
                )
                raise ImatrixError(None, f"the importance matrix {problem}")
            weights[name] = found
        for name in needed:
            if name not in weights:
                raise ImatrixError(None, f"the importance matrix {self.name} has none for {name}")
        return replace(self, weights=weights)

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        """Write to a GGUF file's metadata what it was quantized with, as llama.cpp's tool does."""
        writer.add_string("quantize.imatrix.file", self.name)
        if self.datasets:
            writer.add_string("quantize.imatrix.dataset", self.datasets[0])
        writer.add_uint32("quantize.imatrix.entries_count", len(self.weights))
        writer.add_uint32("quantize.imatrix.chunks_count", self.num_chunks)


def read_imatrix(path: Path) -> Imatrix:
    """Read a file.

    Raises:
        ImatrixError: it cannot be read, or holds no importance matrix.
    """
    try:
        header = read_header(path, whole={_DATASETS})
        if header.metadata.get("general.type") != "imatrix":
            raise ImatrixError(path, "is a GGUF file of another kind")
        tensors = {name: header.floats(name) for name in header.tensors}
    except GgufError as exc:
        problem = f"cannot be read: {exc.reason}; llama.cpp's old format is not supported"
        raise ImatrixError(path, problem) from exc
    datasets = [str(name) for name in _listed(header.metadata.get(_DATASETS))]
    num_chunks = header.metadata.get("imatrix.chunk_count")
    weights = {}
    for name in filter(lambda name: name.endswith(SUMS), tensors):
        tensor = name.removesuffix(SUMS)
        weights[tensor] = _mean(path, name, tensors[name], tensors.get(tensor + COUNTS))
    if not weights:
        raise ImatrixError(path, "has no entries")
    return Imatrix(
        path.name, weights, tuple(datasets), num_chunks if type(num_chunks) is int else 0
    )


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mean(
    path: Path, name: str, sums: NDArray[np.float32], counts: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    if counts is None or counts.size != 1 or not counts.item() > 0:
        raise ImatrixError(path, f"does not say how often {name} was counted")
    mean = (sums.reshape(-1) / counts.item()).astype(np.float32)
    if not ((mean >= 0) & (mean < MAX_MEAN_SQUARE)).all():
        raise ImatrixError(path, f"has values in {name} that no squares add up to")
    return mean


def write_imatrix(
    path: Path,
    sums: Mapping[str, NDArray[np.float32]],
    counts: Mapping[str, int],
    *,
    datasets: Sequence[str],
    num_chunks: int,
    chunk_size: int,
    overwrite: bool = False,
) -> None:
    """Write a file.

    Args:
        path: the file.
        sums: sums of squares by tensor, one for each column.
        counts: number of tokens in the sums, by tensor.
        datasets: names of the texts.
        num_chunks: how much of them was read.
        chunk_size: tokens of a chunk.
        overwrite: whether ``path`` may be replaced.

    Raises:
        OutputError: it cannot be written.
    """
    arrays = {}
    for name in sorted(sums):
        arrays[name + SUMS] = sums[name].reshape(1, -1)
        arrays[name + COUNTS] = np.array([[counts[name]]], np.float32)

    def add_metadata(writer: gguf.GGUFWriter) -> None:
        writer.add_type("imatrix")
        writer.add_array(_DATASETS, list(datasets))
        writer.add_uint32("imatrix.chunk_count", num_chunks)
        writer.add_uint32("imatrix.chunk_size", chunk_size)

    f32 = gguf.GGMLQuantizationType.F32
    infos = [TensorInfo(name, array.shape, f32) for name, array in arrays.items()]
    with open_gguf(
        path, architecture="", add_metadata=add_metadata, infos=infos, overwrite=overwrite
    ) as stream:
        for name, array in arrays.items():
            stream.write(name, iter([np.ascontiguousarray(array, np.float32).view(np.uint8)]))
