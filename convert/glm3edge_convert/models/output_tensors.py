"""Output tensors: a checkpoint's tensors under new names, with rows padded or left out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glm3edge_convert.checkpoint.quantization import check_tensors_are_unquantized
from glm3edge_convert.checkpoint.shards import PendingTensor
from glm3edge_convert.checkpoint.weights import SourceTensor
from glm3edge_convert.errors import MissingTensorError, TensorShapeError, UnexpectedTensorError


@dataclass(frozen=True)
class OutputTensor:
    """A tensor of the output, whose rows are read from a tensor of the checkpoint.

    Attributes:
        name: GGUF's name for it.
        shape: (rows, row length) or (length,).
        source: the checkpoint's tensor.
        num_parts: equal parts of the source's rows (gate and up: 2). Each part is padded with zero
            rows, and each row with zero columns, to fill ``shape``.
        num_skipped: rows at the source's beginning to leave out. Those beyond ``shape`` are too.
    """

    name: str
    shape: tuple[int, ...]
    source: SourceTensor
    num_parts: int = 1
    num_skipped: int = 0

    @property
    def num_rows(self) -> int:
        return self.shape[0] if len(self.shape) == 2 else 1

    @property
    def row_size(self) -> int:
        return self.shape[-1]

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop), float32 of shape (stop - start, row_size).

        Raises:
            CheckpointError: the source's data cannot be read.
        """
        if len(self.shape) == 1:
            return self.source.rows(0, self.row_size).reshape(1, self.row_size)
        if self.shape == self.source.shape and not self.num_skipped:
            return self.source.rows(start, stop)
        out = np.zeros((stop - start, self.row_size), np.float32)
        for part in range(self.num_parts):
            self._copy_part(part, start, stop, out)
        return out

    def _copy_part(self, part: int, start: int, stop: int, out: NDArray[np.float32]) -> None:
        """Copy the source rows of a part that belong to output rows [start, stop)."""
        part_size = self.num_rows // self.num_parts
        source_part_size = (self.source.shape[0] - self.num_skipped) // self.num_parts
        shift = part * (part_size - source_part_size)  # from source row to output row
        first = max(start, part * part_size)
        last = min(stop, part * part_size + source_part_size)
        if first < last:
            skip = self.num_skipped - shift
            values = self.source.rows(first + skip, last + skip)
            out[first - start : last - start, : values.shape[1]] = values


@dataclass(frozen=True)
class TensorMapping:
    """Names and shapes of a tensor in the checkpoint and in the output; see ``OutputTensor``."""

    source_name: str
    name: str
    source_shape: tuple[int, ...]
    shape: tuple[int, ...]
    num_parts: int = 1
    num_skipped: int = 0


def plan_tensors(
    folder: Path,
    sources: Mapping[str, SourceTensor],
    mappings: Iterable[TensorMapping],
    *,
    dropped: re.Pattern[str],
) -> list[OutputTensor]:
    """Match a checkpoint's tensors with those that a model has.

    Args:
        folder: the checkpoint folder, for messages.
        sources: the checkpoint's tensors by name.
        mappings: the tensors that the model has, in file order.
        dropped: names of tensors that the checkpoint may have and the output has not.

    Returns:
        The output's tensors, in the order of ``mappings``.

    Raises:
        QuantizedCheckpointError: the tensors are quantized.
        MissingTensorError: the checkpoint lacks a tensor.
        TensorShapeError: a tensor has another shape than in ``mappings``.
        UnexpectedTensorError: the checkpoint has a tensor besides.
    """
    check_tensors_are_unquantized(folder, sources)
    outputs, used = [], set()
    for mapping in mappings:
        source = sources.get(mapping.source_name)
        if source is None:
            raise MissingTensorError(folder, mapping.source_name)
        if isinstance(source, PendingTensor):
            source = source.of_shape(mapping.source_shape)
        if source.shape != mapping.source_shape:
            raise TensorShapeError(source.path, source.name, mapping.source_shape, source.shape)
        used.add(mapping.source_name)
        outputs.append(
            OutputTensor(
                mapping.name, mapping.shape, source, mapping.num_parts, mapping.num_skipped
            )
        )
    for name, source in sources.items():
        if name not in used and not dropped.fullmatch(name):
            raise UnexpectedTensorError(source.path, name)
    return outputs
