"""Files that are read and written: plain ones only, and of a size that memory holds.

A pipe blocks whoever opens it until its other end is opened, and devices have no end.
"""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

MAX_FILE_BYTES = 256 * 2**20
"""Size beyond which no file is read whole: the largest vocabularies have a tenth of it."""

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_GGUF = b"GGUF"


class UnsuitableFileError(OSError):
    """A path cannot be read or written as a file, or must not be; ``strerror`` says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(errno.EINVAL, reason, str(path))


def open_file(path: Path) -> BinaryIO:
    """Open a file to read it, at once.

    Raises:
        OSError: it cannot be opened, or is a pipe, a socket, a device or a folder.
    """
    check_is_plain(path)
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _check_mode(path, os.fstat(file.fileno()).st_mode)  # it may be another one by now
    except OSError:
        file.close()
        raise
    return file


def read_head(path: Path, num_bytes: int) -> bytes:
    """The first ``num_bytes`` of a file, or all that it has.

    Raises:
        OSError: it cannot be opened or read, or is no plain file.
    """
    with open_file(path) as file:
        return file.read(num_bytes)


def has_gguf_magic(path: Path) -> bool:
    """Whether a file begins as GGUF files do."""
    try:
        return read_head(path, len(_GGUF)) == _GGUF
    except OSError:
        return False


def read_file(path: Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Contents of a file of at most ``max_bytes``.

    Raises:
        OSError: it cannot be opened or read, is no plain file, or is larger.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(max_bytes + 1) if size <= max_bytes else b""
    if max(size, len(data)) > max_bytes:
        reason = f"it is larger than {max_bytes / 2**20:,.0f} MiB"
        raise OSError(errno.EFBIG, reason, str(path))
    return data


def read_text(path: Path, *, encoding: str = "utf-8") -> str:
    """Text of a file of at most MAX_FILE_BYTES, with line feeds alone between its lines.

    Raises:
        OSError: as in ``read_file()``.
        UnicodeDecodeError: it is not in that encoding.
    """
    return read_file(path).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def check_is_plain(path: Path) -> None:
    """Check that ``path`` leads to a plain file.

    Raises:
        OSError: it leads to a pipe, a socket, a device or a folder, or nowhere.
    """
    _check_mode(path, path.stat().st_mode)


def check_is_writable(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Check that at ``path`` is a plain file or nothing, so that one can be written there.

    Args:
        path: where a file will be written.
        inputs: files, and folders of files, that are read. A file that is one of them under
            another name is one of them; a GGUF file in such a folder is not, as it was made there.

    Raises:
        UnsuitableFileError: it is a link, something else than a file, or one of the inputs.
        OSError: it is a folder, or cannot be asked about.
    """
    if path.is_symlink():
        raise UnsuitableFileError(path, f"it is a link to {path.readlink()}")
    if not path.exists():
        return
    check_is_plain(path)
    if (found := _input_at(path, inputs)) is not None:
        raise UnsuitableFileError(path, f"it is one of the inputs, {found}")


def write_text(path: Path, text: str) -> None:
    """Write a file, in UTF-8.

    Raises:
        OSError: it cannot be written, or ``path`` is no plain file.
    """
    check_is_writable(path)
    path.write_text(text, "utf-8")


def _input_at(path: Path, inputs: Iterable[Path]) -> Path | None:
    """The input that the file ``path`` is, None if it is none."""
    for given in inputs:
        is_folder = given.is_dir()
        # One level down too: encoders have files there.
        files = (*given.glob("*"), *given.glob("*/*")) if is_folder else (given,)
        found = next((file for file in files if _is_same(file, path)), None)
        if found is not None and not (is_folder and has_gguf_magic(path)):
            return found
    return None


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _check_mode(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise UnsuitableFileError(path, f"it is {kind}, not a file")
