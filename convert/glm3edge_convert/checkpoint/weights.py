"""Weights of a checkpoint folder, read by ranges of rows.

They are, in order of preference: ``model.safetensors``, ``model.safetensors.index.json`` with its
shards, ``pytorch_model.bin``, ``pytorch_model.bin.index.json`` with its shards. Names, shapes and
types come from the headers; data is read when asked for, so memory stays bounded.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glm3edge_convert.checkpoint.json_files import read_object
from glm3edge_convert.checkpoint.safetensors import open_safetensors
from glm3edge_convert.checkpoint.torch_bin import open_bin
from glm3edge_convert.errors import CheckpointError, DamagedFileError, NotACheckpointError

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX_SUFFIX = ".index.json"
_WRAPPERS = re.compile(r"((module|_orig_mod)\.)+")  # DataParallel's and torch.compile's


class SourceTensor(Protocol):
    """A named tensor whose rows are read on demand; ``path`` is the file it lives in."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def shape(self) -> tuple[int, ...]: ...

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop) of the first dimension, as float32. Safe to call from any thread.

        Raises:
            TensorValueError: the tensor's type is not a 16- or 32-bit float.
            CheckpointError: the file can no longer be read.
        """
        ...


def weights_entry(names: Collection[str], weight_files: Sequence[str] = WEIGHT_FILES) -> str | None:
    """The file among ``names`` that leads to the weights: the file itself, or an index of it."""
    candidates = (name + suffix for name in weight_files for suffix in ("", INDEX_SUFFIX))
    return next((name for name in candidates if name in names), None)


def shard_names(index_path: Path) -> list[str]:
    """The files that an index names.

    Raises:
        CheckpointError: the index is damaged, or names a file outside its folder.
    """
    return list(dict.fromkeys(read_index(index_path).values()))


def open_tensors(
    folder: Path, weight_files: Sequence[str] = WEIGHT_FILES
) -> dict[str, SourceTensor]:
    """All tensors of a folder by name; reads headers, no data.

    Args:
        folder: the checkpoint folder.
        weight_files: names of its weights; the first that is there, or has an index there, counts.

    Raises:
        NotACheckpointError: there are no weights.
        CheckpointError: files contradict each other or are damaged.
        MissingLibraryError: a ``.bin`` checkpoint needs torch.
    """
    entry = weights_entry([path.name for path in folder.glob("*") if path.is_file()], weight_files)
    if entry is None:
        raise NotACheckpointError(
            folder, f"it has no {' or '.join(weight_files)} and no index of one"
        )
    if entry.endswith(INDEX_SUFFIX):
        return unwrapped(_open_sharded(folder / entry))
    return unwrapped({tensor.name: tensor for tensor in open_weights(folder / entry)})


def unwrapped(tensors: dict[str, SourceTensor]) -> dict[str, SourceTensor]:
    """The tensors without the prefix that PyTorch's wrappers gave to all of their names."""
    match = _WRAPPERS.match(next(iter(tensors), ""))
    if match is None or not all(name.startswith(match[0]) for name in tensors):
        return tensors
    return {name.removeprefix(match[0]): tensor for name, tensor in tensors.items()}


def open_weights(path: Path) -> Sequence[SourceTensor]:
    """The tensors of one file; raises as ``open_tensors`` does."""
    return open_safetensors(path) if path.suffix == ".safetensors" else open_bin(path)


def _open_sharded(index_path: Path) -> dict[str, SourceTensor]:
    index = read_index(index_path)
    tensors: dict[str, SourceTensor] = {}
    for file_name in dict.fromkeys(index.values()):
        path = index_path.with_name(file_name)
        if not path.is_file():
            raise DamagedFileError(path, f"is missing although {index_path.name} names it")
        _add_shard(path, index_path, index, tensors)
    _check_complete(index_path, index, tensors)
    return tensors


def open_shard(path: Path, index_path: Path, index: Mapping[str, str]) -> dict[str, SourceTensor]:
    """The tensors of one shard, which are those that the ``index`` names for it.

    Raises:
        CheckpointError: the shard has others, or is damaged.
        MissingLibraryError: a ``.bin`` shard needs torch.
    """
    tensors: dict[str, SourceTensor] = {}
    _add_shard(path, index_path, index, tensors)
    wanted = {name: file_name for name, file_name in index.items() if file_name == path.name}
    _check_complete(index_path, wanted, tensors)
    return tensors


def _add_shard(
    path: Path, index_path: Path, index: Mapping[str, str], tensors: dict[str, SourceTensor]
) -> None:
    for tensor in open_weights(path):
        _check_placement(index_path, tensor, index, tensors)
        tensors[tensor.name] = tensor


def _check_complete(
    index_path: Path, index: Mapping[str, str], tensors: Mapping[str, SourceTensor]
) -> None:
    for name, file_name in index.items():
        if name not in tensors:
            raise CheckpointError(
                index_path, f"tensor {name} is not in {file_name}; download both files again"
            )


def read_index(path: Path) -> dict[str, str]:
    """The file that an index names for each tensor.

    Raises:
        CheckpointError: the index is damaged, or names a file outside its folder.
    """
    match read_object(path):
        case {"weight_map": dict(file_of_tensor)} if file_of_tensor and all(
            isinstance(file_name, str) for file_name in file_of_tensor.values()
        ):
            for file_name in file_of_tensor.values():
                _check_shard_name(path, file_name)
            return file_of_tensor
    raise DamagedFileError(path, "has no weight_map from tensor names to file names")


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
    """Check that the index lists a shard's tensor for that shard, and no other shard has it."""
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
