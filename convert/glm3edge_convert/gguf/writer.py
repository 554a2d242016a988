"""A GGUF file, written in a stream and all at once from the outside.

The data goes to `.<name>.part` beside the output and takes the output's name when it is complete
and on the disk. Whatever happens before, nothing is found under that name; whatever happens short
of a kill, the temporary file is removed too. After a kill the same conversion goes on with what a
second temporary file, `.<name>.part.json`, says was on the disk.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import math
import os
import secrets
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from gguf import GGUFWriter

from glm3edge_convert.errors import (
    DiskFullError,
    FileSizeError,
    OutputError,
    OutputExistsError,
)
from glm3edge_convert.gguf.locking import try_lock
from glm3edge_convert.quantize.recipe import row_num_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from gguf import GGMLQuantizationType
    from numpy.typing import NDArray

ALIGNMENT = 32  # GGUF's default, in bytes
DISK_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}
SAFE_BYTES = 32 * 1024 * 1024
"""After so many bytes more it is made sure that they are on the disk, and noted."""


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
    """Takes tensors' data in the order of the header, padding each to the alignment.

    The first `num_done` of them are there already, from a run that was killed.
    """

    def __init__(
        self, part: _Part, infos: Sequence[TensorInfo], journal: _Journal, *, num_done: int
    ) -> None:
        self.num_done = num_done
        self._part = part
        self._infos = infos
        self._journal = journal
        self._num_unsafe = 0  # bytes since the last note

    def finish(self) -> None:
        """Raise ValueError if tensors of the header have not been written."""
        for info in self._infos[self.num_done :]:
            raise ValueError(f"{info} was not written")

    def write(self, name: str, slabs: Iterator[NDArray[np.uint8]]) -> None:
        """Write the next tensor. Raises ValueError if it is not `name` or of another size."""
        info = self._infos[self.num_done]
        num_bytes = 0
        for slab in slabs:
            self._part.file.write(slab.data)
            num_bytes += slab.nbytes
        if (name, num_bytes) != (info.name, info.num_bytes):
            raise ValueError(f"{num_bytes} bytes of {name} where {info} belongs")
        self._part.file.write(bytes(_padding(num_bytes)))
        self.num_done += 1
        self._num_unsafe += info.num_bytes_padded
        if self._num_unsafe >= SAFE_BYTES:
            self._part.sync()
            self._journal.note(self.num_done)
            self._num_unsafe = 0


@contextmanager
def open_gguf(
    path: Path,
    *,
    architecture: str,
    add_metadata: Callable[[GGUFWriter], None],
    infos: Sequence[TensorInfo],
    overwrite: bool,
    source_key: str = "",
) -> Iterator[TensorStream]:
    """Write a GGUF file at `path` inside a `with` block, or leave no trace of it.

    What a killed run has written of the same header, with the same `source_key`, is kept: see
    `TensorStream.num_done`. The key says what the data depends on besides. Raises
    OutputExistsError, DiskFullError before any data is written if it will not fit, and OutputError
    or DiskFullError for what the system reports later.
    """
    check_output(path, overwrite=overwrite)
    num_bytes = sum(info.num_bytes_padded for info in infos)
    with _translated(path, num_bytes), _opened_part(path) as part:
        header = gguf_header(architecture, add_metadata, infos)
        journal = _Journal(part.path, hashlib.sha256(header + source_key.encode()).hexdigest())
        with journal:
            num_done = _kept(part, journal, infos, header)
            num_kept = sum(info.num_bytes_padded for info in infos[:num_done])
            part.file.truncate(len(header) + num_kept)
            _check_free(path, num_bytes - num_kept)
            if not num_done:
                part.file.seek(0)
                part.file.write(header)
            part.file.seek(0, os.SEEK_END)
            stream = TensorStream(part, infos, journal, num_done=num_done)
            yield stream
            stream.finish()
            part.sync()
            check_output(path, overwrite=overwrite)
        if sys.platform == "win32":  # no open file can be renamed there
            part.file.close()
        part.path.replace(path)


@dataclass(frozen=True)
class _Part:
    """The temporary file, locked."""

    path: Path
    file: BinaryIO

    def sync(self) -> None:
        """Have on the disk what was written."""
        self.file.flush()
        os.fsync(self.file.fileno())


class _Journal:
    """How many tensors of a part are on the disk, and of what conversion; gone on leaving."""

    def __init__(self, part: Path, key: str) -> None:
        self._path = part.with_name(part.name + ".json")
        self._key = key

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._path.unlink()

    def read(self) -> int:
        """Tensors that are there; 0 if they are another conversion's."""
        try:
            content = json.loads(self._path.read_text("utf-8"))
            is_same = content["key"] == self._key
            return int(content["num_tensors"]) if is_same else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def note(self, num_tensors: int) -> None:
        """So many are there."""
        text = json.dumps({"key": self._key, "num_tensors": num_tensors})
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(text, "utf-8")
        new.replace(self._path)


@contextmanager
def _opened_part(path: Path) -> Iterator[_Part]:
    """The temporary file for `path`; one of another name while another process has that.

    On leaving it is removed, unless it has become the output.
    """
    _remove_left_over(path)
    part = _open_part(path.with_name(f".{path.name}.part"))
    if part is None:
        name = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        part = _Part(name, name.open("x+b"))
        try_lock(part.file)
    with part.file:
        try:
            yield part
        finally:
            # While it is locked, and so still nobody else's.
            if sys.platform == "win32":
                part.file.close()
            with suppress(OSError):  # no failure here hides the first
                if sys.platform == "win32" or _is_named(part):
                    part.path.unlink()


def _open_part(path: Path) -> _Part | None:
    """The file of that name, locked; None if another process has it, or nobody can lock it."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    while True:
        part = _Part(path, os.fdopen(os.open(path, flags, 0o666), "r+b"))
        is_locked = try_lock(part.file)
        if is_locked and _is_named(part):
            return part
        # Whoever had it may have finished meanwhile: then it is an output now.
        part.file.close()
        if not is_locked:
            if is_locked is None and path.stat().st_size == 0:
                path.unlink()
            return None


def _is_named(part: _Part) -> bool:
    """Whether the open file is still the one that its name leads to."""
    try:
        return os.path.samestat(os.fstat(part.file.fileno()), part.path.lstat())
    except FileNotFoundError:
        return False


def _remove_left_over(path: Path) -> None:
    """Remove what runs under names of their own have left that were killed."""
    pattern = f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.part"
    for left_over in path.parent.glob(pattern):
        with suppress(OSError), left_over.open("r+b") as file:
            if try_lock(file):
                left_over.unlink()


def _kept(part: _Part, journal: _Journal, infos: Sequence[TensorInfo], header: bytes) -> int:
    """Tensors of a killed run that can be kept."""
    num_done = min(journal.read(), len(infos))
    num_bytes = len(header) + sum(info.num_bytes_padded for info in infos[:num_done])
    part.file.seek(0)
    is_whole = part.file.read(len(header)) == header and part.path.stat().st_size >= num_bytes
    return num_done if is_whole else 0


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raise OutputExistsError or OutputError if `path` is not a name that may be written."""
    with _translated(path, 0):  # a name may be too long to ask about
        if path.is_dir():
            raise OutputError(path, "it is a folder; give a file name")
        if path.exists() and not overwrite:
            raise OutputExistsError(path)
        if not path.parent.is_dir():
            raise OutputError(path, "its folder does not exist; create it first")


def gguf_header(
    architecture: str, add_metadata: Callable[[GGUFWriter], None], infos: Sequence[TensorInfo]
) -> bytes:
    """All that stands before the first tensor's data."""
    writer = GGUFWriter(None, architecture)
    add_metadata(writer)
    for info in infos:
        writer.add_tensor_info(
            info.name, info.shape, np.dtype(np.float32), info.num_bytes, raw_dtype=info.type
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "header"
        try:
            writer.write_header_to_file(path)
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
        finally:
            writer.close()
        header = path.read_bytes()
    return header + bytes(_padding(len(header)))


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
