"""A GGUF file, written in a stream and all at once from the outside.

The data goes to `.<name>.<random>.part` beside the output and takes the output's name when it is
complete and on the disk. Whatever happens before, nothing is found under that name; whatever
happens short of a kill, the temporary file is removed too.
"""

from __future__ import annotations

import errno
import math
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from gguf import GGUFWriter

from glm3edge_convert.errors import (
    DiskFullError,
    FileSizeError,
    OutputError,
    OutputExistsError,
)
from glm3edge_convert.recipe import row_num_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from gguf import GGMLQuantizationType
    from numpy.typing import NDArray

ALIGNMENT = 32  # GGUF's default, in bytes
DISK_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's header entry; `shape` is (rows, row length) or (length,)."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape[:-1]) * row_num_bytes(self.type, self.shape[-1])

    @property
    def num_bytes_padded(self) -> int:
        return self.num_bytes + _padding(self.num_bytes)


class TensorStream:
    """Takes tensors' data in the order of the header, padding each to the alignment."""

    def __init__(self, file: BinaryIO, infos: Sequence[TensorInfo]) -> None:
        self._file = file
        self._expected = iter(infos)

    def finish(self) -> None:
        """Raise ValueError if tensors of the header have not been written."""
        for info in self._expected:
            raise ValueError(f"{info} was not written")

    def write(self, name: str, slabs: Iterator[NDArray[np.uint8]]) -> None:
        """Write the next tensor. Raises ValueError if it is not `name` or of another size."""
        info = next(self._expected)
        num_bytes = 0
        for slab in slabs:
            self._file.write(slab.data)
            num_bytes += slab.nbytes
        if (name, num_bytes) != (info.name, info.num_bytes):
            raise ValueError(f"{num_bytes} bytes of {name} where {info} belongs")
        self._file.write(bytes(_padding(num_bytes)))


@contextmanager
def open_gguf(
    path: Path,
    *,
    architecture: str,
    add_metadata: Callable[[GGUFWriter], None],
    infos: Sequence[TensorInfo],
    overwrite: bool,
) -> Iterator[TensorStream]:
    """Write a GGUF file at `path` inside a `with` block, or leave no trace of it.

    Raises OutputExistsError, DiskFullError before any data is written if it will not fit, and
    OutputError or DiskFullError for what the system reports later.
    """
    check_output(path, overwrite=overwrite)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    num_bytes = sum(info.num_bytes_padded for info in infos)
    try:
        with _translated(path, num_bytes):
            _write_header(part, architecture, add_metadata, infos)
            _check_free(path, num_bytes)
            with part.open("ab") as file:
                file.write(bytes(_padding(file.tell())))
                stream = TensorStream(file, infos)
                yield stream
                stream.finish()
                file.flush()
                os.fsync(file.fileno())
            check_output(path, overwrite=overwrite)
            part.replace(path)
    finally:
        with suppress(OSError):  # it is gone after success, and no failure here hides the first
            part.unlink()


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExistsError or OutputError if `path` is not a name that may be written."""
    with _translated(path, 0):  # a name may be too long to ask about
        if path.is_dir():
            raise OutputError(path, "it is a folder; give a file name")
        if path.exists() and not overwrite:
            raise OutputExistsError(path)
        if not path.parent.is_dir():
            raise OutputError(path, "its folder does not exist; create it first")


def _write_header(
    part: Path,
    architecture: str,
    add_metadata: Callable[[GGUFWriter], None],
    infos: Sequence[TensorInfo],
) -> None:
    writer = GGUFWriter(None, architecture)
    add_metadata(writer)
    for info in infos:
        writer.add_tensor_info(
            info.name, info.shape, np.dtype(np.float32), info.num_bytes, raw_dtype=info.type
        )
    try:
        writer.write_header_to_file(part)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    finally:
        writer.close()


def _check_free(path: Path, num_bytes_needed: int) -> None:
    num_bytes_free = shutil.disk_usage(path.parent).free
    if num_bytes_free < num_bytes_needed:
        raise DiskFullError(path, num_bytes_needed=num_bytes_needed, num_bytes_free=num_bytes_free)


@contextmanager
def _translated(path: Path, num_bytes: int) -> Iterator[None]:
    """Turn the system's errors into ours; `num_bytes` is what the whole file needs."""
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.EFBIG:
            raise FileSizeError(path, num_bytes) from exc
        if exc.errno not in DISK_FULL_ERRNOS:
            raise OutputError(path, f"{exc.strerror or exc}; check the folder") from exc
        free = shutil.disk_usage(path.parent).free
        raise DiskFullError(path, num_bytes_needed=num_bytes, num_bytes_free=free) from exc


def _padding(num_bytes: int) -> int:
    return -num_bytes % ALIGNMENT
