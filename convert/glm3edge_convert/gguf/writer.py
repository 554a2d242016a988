"""Writer of GGUF files: the data is streamed, and the file appears complete or not at all.

The data goes to ``.<name>.part`` beside the output and takes the output's name when it is complete
and on the disk. Whatever happens before, nothing is found under that name; whatever happens short
of a kill, the temporary file is removed too. After a kill the same conversion goes on with what a
second temporary file, ``.<name>.part.json``, says was on the disk.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from numpy.typing import NDArray

from glm3edge_convert.errors import DiskFullError, FileSizeError, OutputError, OutputExistsError
from glm3edge_convert.files import check_is_writable
from glm3edge_convert.gguf.header import TensorInfo, gguf_header, padding
from glm3edge_convert.gguf.part_file import Journal, PartFile, open_part

DISK_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}
SYNC_BYTES = 32 * 1024 * 1024
"""After so many bytes more, the data is flushed to the disk and the journal updated."""


class TensorStream:
    """Writes tensors' data in the order of the header, padding each to the alignment.

    Attributes:
        num_done: tensors that are in the file; at the start, those of a run that was killed.
    """

    def __init__(
        self, part: PartFile, infos: Sequence[TensorInfo], journal: Journal, *, num_done: int
    ) -> None:
        self.num_done = num_done
        self._part = part
        self._infos = infos
        self._journal = journal
        self._num_bytes_unsynced = 0

    def write(self, name: str, slabs: Iterator[NDArray[np.uint8]]) -> None:
        """Write the next tensor.

        Raises:
            ValueError: the next tensor of the header is another one, or has another size.
        """
        info = self._infos[self.num_done]
        num_bytes = 0
        for slab in slabs:
            self._part.file.write(slab.data)
            num_bytes += slab.nbytes
        if (name, num_bytes) != (info.name, info.num_bytes):
            raise ValueError(f"{num_bytes} bytes of {name} where {info} belongs")
        self._part.file.write(bytes(padding(num_bytes)))
        self.num_done += 1
        self._num_bytes_unsynced += info.num_bytes_padded
        if self._num_bytes_unsynced >= SYNC_BYTES:
            self._part.sync()
            self._journal.write(self.num_done)
            self._num_bytes_unsynced = 0

    def finish(self) -> None:
        """Check that all tensors of the header were written.

        Raises:
            ValueError: one was not.
        """
        for info in self._infos[self.num_done :]:
            raise ValueError(f"{info} was not written")


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
    """Write a GGUF file at ``path`` inside a ``with`` block, or leave no trace of it.

    Args:
        path: the file to write.
        architecture: the model's architecture, or empty.
        add_metadata: writes the rest of the metadata.
        infos: the tensors, in the order in which they will be written.
        overwrite: whether a file of that name may be replaced.
        source_key: what the data depends on besides the header. What a killed run has written of
            the same header with the same key is kept; see ``TensorStream.num_done``.

    Raises:
        OutputExistsError: there is a file of that name, also one that came up meanwhile.
        DiskFullError: the file will not fit, or the system says so later.
        OutputError: the system refuses to write for another reason.
    """
    check_output(path, overwrite=overwrite)
    num_bytes = sum(info.num_bytes_padded for info in infos)
    with _translated_errors(path, num_bytes), open_part(path) as part:
        header = gguf_header(architecture, add_metadata, infos)
        journal = Journal(part.path, hashlib.sha256(header + source_key.encode()).hexdigest())
        with journal:
            num_done = _num_kept(part, journal, infos, header)
            num_bytes_kept = sum(info.num_bytes_padded for info in infos[:num_done])
            part.file.truncate(len(header) + num_bytes_kept)
            _check_free(path, num_bytes - num_bytes_kept)
            if not num_done:
                part.file.seek(0)
                part.file.write(header)
            part.file.seek(0, os.SEEK_END)
            stream = TensorStream(part, infos, journal, num_done=num_done)
            yield stream
            stream.finish()
            part.sync()
            check_output(path, overwrite=overwrite)
        part.move_to(path)


def check_output(path: Path, *, overwrite: bool) -> None:
    """Check that a file may be written at ``path``.

    Raises:
        OutputExistsError: there is one that may not be replaced.
        OutputError: the name is a folder's, a pipe's or a device's, or its folder does not exist.
    """
    with _translated_errors(path, 0):  # a name may be too long to ask about
        if path.is_dir():
            raise OutputError(path, "it is a folder; give a file name")
        check_is_writable(path)
        if path.exists() and not overwrite:
            raise OutputExistsError(path)
        if not path.parent.is_dir():
            raise OutputError(path, "its folder does not exist; create it first")


def _num_kept(part: PartFile, journal: Journal, infos: Sequence[TensorInfo], header: bytes) -> int:
    """Number of tensors that can be kept of a killed run."""
    num_done = min(journal.read(), len(infos))
    num_bytes = len(header) + sum(info.num_bytes_padded for info in infos[:num_done])
    part.file.seek(0)
    is_whole = part.file.read(len(header)) == header and part.path.stat().st_size >= num_bytes
    return num_done if is_whole else 0


def _check_free(path: Path, num_bytes_needed: int) -> None:
    num_bytes_free = shutil.disk_usage(path.parent).free
    if num_bytes_free < num_bytes_needed:
        raise DiskFullError(path, num_bytes_needed=num_bytes_needed, num_bytes_free=num_bytes_free)


@contextmanager
def _translated_errors(path: Path, num_bytes: int) -> Iterator[None]:
    """Turn the system's errors into ours; ``num_bytes`` is what the whole file needs."""
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.EFBIG:
            raise FileSizeError(path, num_bytes) from exc
        if exc.errno not in DISK_FULL_ERRNOS:
            raise OutputError(path, f"{exc.strerror or exc}; check the folder") from exc
        free = shutil.disk_usage(path.parent).free
        raise DiskFullError(path, num_bytes_needed=num_bytes, num_bytes_free=free) from exc
