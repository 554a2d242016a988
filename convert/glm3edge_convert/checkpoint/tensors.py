"""A Hugging Face checkpoint folder, read one range of rows at a time.

The weights are, in order of preference: `model.safetensors`, `model.safetensors.index.json` with
its shards, `pytorch_model.bin`, `pytorch_model.bin.index.json` with its shards. Names, shapes and
types come from the headers; data is read when asked for, so memory stays bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from glm3edge_convert.checkpoint import safetensors, torch_bin
from glm3edge_convert.checkpoint.json_files import read_object
from glm3edge_convert.errors import (
    CheckpointError,
    DamagedFileError,
    NotACheckpointError,
    TensorValueError,
    UnreadableFileError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX_SUFFIX = ".index.json"


class SourceTensor(Protocol):
    """A named tensor whose rows are read on demand; `path` is the file it lives in."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def shape(self) -> tuple[int, ...]: ...

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop) of the first dimension, as float32. Safe to call from any thread.

        Raises TensorValueError for a type that is not a 16- or 32-bit float, DamagedFileError if
        the file can no longer be read.
        """
        ...


@dataclass(frozen=True)
class SafetensorsTensor:
    """A tensor in a safetensors file."""

    path: Path
    entry: safetensors.Entry

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.entry.shape

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """See SourceTensor."""
        row_shape = self.shape[1:]
        num_values = (stop - start) * math.prod(row_shape)
        skipped = start * math.prod(row_shape) * safetensors.DTYPE_SIZES[self.entry.dtype]
        raw = self._read(num_values, self.entry.start + skipped)
        return _to_float32(raw).reshape(stop - start, *row_shape)

    def _read(self, num_values: int, offset: int) -> NDArray[np.generic]:
        # Plain reads, not a memory map: a map counts as resident memory, and a file that
        # shrinks under it kills the process.
        try:
            raw = np.fromfile(self.path, self._storage_dtype(), num_values, offset=offset)
        except OSError as exc:
            raise UnreadableFileError(self.path, exc) from exc
        if raw.size < num_values:
            raise DamagedFileError(self.path, f"is truncated: tensor {self.name} is cut short")
        return raw

    def _storage_dtype(self) -> np.dtype[np.generic]:
        match self.entry.dtype:
            case "F16":
                return np.dtype("<f2")
            case "BF16":
                return np.dtype("<u2")  # NumPy has no bfloat16
            case "F32":
                return np.dtype("<f4")
        raise TensorValueError(
            self.path,
            self.name,
            f"is stored as {self.entry.dtype}; use the float16, bfloat16 or float32 checkpoint",
        )


def _to_float32(raw: NDArray[np.generic]) -> NDArray[np.float32]:
    """Widen float16, float32 or bfloat16 (held as uint16: the upper half of a float32)."""
    if raw.dtype.kind == "u":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32, copy=False)


def weights_entry(names: Collection[str], weight_files: Sequence[str] = WEIGHT_FILES) -> str | None:
    """Which of a folder's files leads to its weights: they themselves, or their index."""
    candidates = (name + suffix for name in weight_files for suffix in ("", INDEX_SUFFIX))
    return next((name for name in candidates if name in names), None)


def shard_names(index_path: Path) -> list[str]:
    """The files that an index names. Raises CheckpointError, also for one outside its folder."""
    names = dict.fromkeys(_read_index(index_path).values())
    for name in names:
        _check_shard_name(index_path, name)
    return list(names)


def open_tensors(
    folder: Path, weight_files: Sequence[str] = WEIGHT_FILES
) -> dict[str, SourceTensor]:
    """All tensors of a folder by name; reads headers, no data. The first of `weight_files` counts.

    Raises NotACheckpointError if there are no weights, CheckpointError if files contradict each
    other or are damaged, MissingLibraryError for a `.bin` checkpoint without torch.
    """
    entry = weights_entry([path.name for path in folder.glob("*") if path.is_file()], weight_files)
    if entry is None:
        raise NotACheckpointError(
            folder, f"it has no {' or '.join(weight_files)} and no index of one"
        )
    is_safetensors = entry.removesuffix(INDEX_SUFFIX).endswith(".safetensors")
    open_file = _open_safetensors if is_safetensors else _open_bin
    if entry.endswith(INDEX_SUFFIX):
        return _open_sharded(folder / entry, open_file)
    return _by_name(open_file(folder / entry))


def _open_safetensors(path: Path) -> list[SourceTensor]:
    return [SafetensorsTensor(path, entry) for entry in safetensors.read_entries(path)]


def _open_bin(path: Path) -> list[SourceTensor]:
    return list(torch_bin.open_bin(path))


def _by_name(tensors: Sequence[SourceTensor]) -> dict[str, SourceTensor]:
    return {tensor.name: tensor for tensor in tensors}


def _open_sharded(
    index_path: Path, open_file: Callable[[Path], list[SourceTensor]]
) -> dict[str, SourceTensor]:
    file_of_tensor = _read_index(index_path)
    tensors: dict[str, SourceTensor] = {}
    for file_name in dict.fromkeys(file_of_tensor.values()):
        for tensor in open_file(_shard_path(index_path, file_name)):
            _check_placement(index_path, tensor, file_of_tensor, tensors)
            tensors[tensor.name] = tensor
    for name, file_name in file_of_tensor.items():
        if name not in tensors:
            raise CheckpointError(
                index_path, f"tensor {name} is not in {file_name}; download both files again"
            )
    return tensors


def _read_index(path: Path) -> dict[str, str]:
    match read_object(path):
        case {"weight_map": dict(file_of_tensor)} if file_of_tensor and all(
            isinstance(file_name, str) for file_name in file_of_tensor.values()
        ):
            return file_of_tensor
    raise DamagedFileError(path, "has no weight_map from tensor names to file names")


def _shard_path(index_path: Path, file_name: str) -> Path:
    _check_shard_name(index_path, file_name)
    path = index_path.with_name(file_name)
    if not path.is_file():
        raise DamagedFileError(path, f"is missing although {index_path.name} names it")
    return path


def _check_shard_name(index_path: Path, file_name: str) -> None:
    # An index comes from the network: it may not point outside its folder, on any system.
    if file_name in {"", ".", ".."} or any(mark in file_name for mark in "/\\:\0"):
        raise CheckpointError(
            index_path, f"names the file {file_name!r} outside its folder; do not use it"
        )


def _check_placement(
    index_path: Path,
    tensor: SourceTensor,
    file_of_tensor: Mapping[str, str],
    seen: Mapping[str, SourceTensor],
) -> None:
    """A shard's tensor must be listed in the index for that shard, and in no other shard."""
    if tensor.name in seen:
        raise CheckpointError(
            tensor.path,
            f"tensor {tensor.name} is also in {seen[tensor.name].path.name}; "
            "remove the shards of another download",
        )
    expected = file_of_tensor.get(tensor.name)
    if expected is None:
        raise CheckpointError(
            index_path,
            f"tensor {tensor.name} of {tensor.path.name} is not listed; download it again",
        )
    if expected != tensor.path.name:
        raise CheckpointError(
            index_path,
            f"tensor {tensor.name} is in {tensor.path.name}, not in {expected}; "
            "download the checkpoint again",
        )
