"""Writer of GGUF files: the data is streamed, and the file appears complete or not at all.

The data goes to ``.<name>.part`` beside the output and takes the output's name when it is complete
and on the disk. Whatever happens before, nothing is found under that name; whatever happens short
of a kill, the temporary file is removed too, unless its sources are gone. After a kill the same
conversion goes on with what a second temporary file, ``.<name>.part.json``, says was on the disk.
"""

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from numpy.typing import NDArray

from glm3edge_convert.errors import (
    CheckpointError,
    DiskFullError,
    FileSizeError,
    OutputError,
    OutputExistsError,
)
from glm3edge_convert.files import UnsuitableFileError, check_is_writable
from glm3edge_convert.gguf.header import TensorInfo, gguf_header, padding
from glm3edge_convert.gguf.part_file import Journal, PartFile, open_part

DISK_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}
SYNC_BYTES = 32 * 1024 * 1024
"""After so many bytes more, the data is flushed to the disk and the journal updated."""


class TensorStream:
    """Writes tensors' data, each at its place in the file and padded to the alignment.

    Attributes:
        num_done: tensors that are in the file; at the start, those of a run that broke off.
    """

    def __init__(
        self,
        part: PartFile,
        order: Sequence[TensorInfo],
        places: Mapping[str, int],
        journal: Journal,
    ) -> None:
        """Write to ``part`` in an ``order`` of its tensors, whose ``places`` are offsets in it."""
        self.num_done = 0
        self._part = part
        self._order = order
        self._places = places
        self._journal = journal
        self._num_bytes_unsynced = 0

    def resume(self, header: bytes) -> int:
        """Write the header, or keep what an earlier run wrote; returns the bytes of its tensors.

        What is behind the last tensor that is kept is cut off.
        """
        kept = self._order[: max(0, self._journal.read())]
        end = max((self._end(info) for info in kept), default=len(header))
        self._part.file.seek(0)
        is_same = self._part.file.read(len(header)) == header
        if not is_same or self._part.path.stat().st_size < end:
            kept, end = [], len(header)
            self._part.file.seek(0)
            self._part.file.write(header)
        self._part.file.truncate(end)
        self.num_done = len(kept)
        return sum(info.num_bytes_padded for info in kept)

    def write(self, name: str, slabs: Iterator[NDArray[np.uint8]]) -> None:
        """Write the next tensor.

        Raises:
            ValueError: the next tensor is another one, or has another size.
        """
        info = self._order[self.num_done]
        num_bytes = 0
        self._part.file.seek(self._places[info.name])
        for slab in slabs:
            if self._num_bytes_unsynced >= SYNC_BYTES:  # threads are at the next slabs meanwhile
                self.sync()
            self._part.file.write(slab.data)
            num_bytes += slab.nbytes
        if (name, num_bytes) != (info.name, info.num_bytes):
            raise ValueError(f"{num_bytes} bytes of {name} where {info} belongs")
        self._part.file.write(bytes(padding(num_bytes)))
        self.num_done += 1
        self._num_bytes_unsynced += info.num_bytes_padded

    def sync(self) -> None:
        """Flush what was written to the disk, so that a later run can go on from here."""
        self._part.sync()
        self._journal.write(self.num_done)
        self._num_bytes_unsynced = 0

    def finish(self) -> None:
        """Check that all tensors of the header were written.

        Raises:
            ValueError: one was not.
        """
        for info in self._order[self.num_done :]:
            raise ValueError(f"{info} was not written")
        self._part.sync()

    def _end(self, info: TensorInfo) -> int:
        return self._places[info.name] + info.num_bytes_padded


@contextmanager
def open_gguf(
    path: Path,
    *,
    architecture: str,
    add_metadata: Callable[[GGUFWriter], None],
    infos: Sequence[TensorInfo],
    overwrite: bool,
    order: Sequence[TensorInfo] | None = None,
    source_key: str = "",
    is_resumable: bool = False,
) -> Iterator[TensorStream]:
    """Write a GGUF file at ``path`` inside a ``with`` block, or leave no trace of it.

    Args:
        path: the file to write.
        architecture: the model's architecture, or empty.
        add_metadata: writes the rest of the metadata.
        infos: the tensors, in the order in which the file has them.
        overwrite: whether a file of that name may be replaced.
        order: the same tensors in the order in which they will be written, if that is another.
        source_key: what the data depends on besides the header. What a killed run has written of
            the same header with the same key is kept; see ``TensorStream.num_done``.
        is_resumable: keep that after interruptions and errors too, but for those of the checkpoint.

    Raises:
        OutputExistsError: there is a file of that name, also one that came up meanwhile.
        DiskFullError: the file will not fit, or the system says so later.
        OutputError: the system refuses to write for another reason.
    """
    check_output(path, overwrite=overwrite)
    num_bytes = sum(info.num_bytes_padded for info in infos)
    with translated_errors(path, num_bytes), open_part(path) as part:
        header = gguf_header(architecture, add_metadata, infos)
        order = infos if order is None else order
        key = "\n".join((source_key, *(info.name for info in order)))
        journal = Journal(part.path, hashlib.sha256(header + key.encode()).hexdigest())
        stream = TensorStream(part, order, _places(len(header), infos), journal)
        with _finished(part, journal, stream, is_resumable=is_resumable):
            num_bytes_kept = stream.resume(header)
            _check_free(path, num_bytes - num_bytes_kept)
            yield stream
            stream.finish()
            check_output(path, overwrite=overwrite)
            part.move_to(path)


@contextmanager
def _finished(
    part: PartFile, journal: Journal, stream: TensorStream, *, is_resumable: bool
) -> Iterator[None]:
    """Remove the journal at the end, or keep it with the part file and bring it up to date."""
    try:
        yield
    except BaseException as exc:
        is_at_fault = isinstance(exc, CheckpointError | OutputExistsError)
        part.is_kept = is_resumable and stream.num_done > 0 and not is_at_fault
        if part.is_kept:
            with suppress(OSError):  # then the journal stays as it is
                stream.sync()
        raise
    finally:
        if not part.is_kept:
            journal.remove()


def _places(start: int, infos: Sequence[TensorInfo]) -> dict[str, int]:
    """Offsets of tensors whose data begins at ``start``, by name."""
    places = {}
    for info in infos:
        places[info.name] = start
        start += info.num_bytes_padded
    return places


def check_output(path: Path, *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Check that a file may be written at ``path``.

    Args:
        path: the file to write.
        overwrite: whether a file of that name may be replaced.
        inputs: files and folders that are read, which may never be.

    Raises:
        OutputExistsError: there is one that may not be replaced.
        OutputError: the name is a folder's, a link's, a pipe's, a device's or one of the inputs, or
            its folder does not exist.
    """
    with translated_errors(path, 0):  # a name may be too long to ask about
        if path.is_dir():
            raise OutputError(path, "it is a folder; give a file name")
        check_is_writable(path, inputs)
        if path.exists() and not overwrite:
            raise OutputExistsError(path)
        if not path.parent.is_dir():
            raise OutputError(path, "its folder does not exist; create it first")


def _check_free(path: Path, num_bytes_needed: int) -> None:
    num_bytes_free = shutil.disk_usage(path.parent).free
    if num_bytes_free < num_bytes_needed:
        raise DiskFullError(path, num_bytes_needed=num_bytes_needed, num_bytes_free=num_bytes_free)


@contextmanager
def translated_errors(path: Path, num_bytes: int) -> Iterator[None]:
    """Turn the system's errors into ours; ``num_bytes`` is what the whole file needs."""
    try:
        yield
    except UnsuitableFileError as exc:
        raise OutputError(path, f"{exc.strerror}; choose another name") from exc
    except OSError as exc:
        if exc.errno == errno.EFBIG:
            raise FileSizeError(path, num_bytes) from exc
        if exc.errno not in DISK_FULL_ERRNOS:
            raise OutputError(path, f"{exc.strerror or exc}; check the folder") from exc
        free = shutil.disk_usage(path.parent).free
        raise DiskFullError(path, num_bytes_needed=num_bytes, num_bytes_free=free) from exc
