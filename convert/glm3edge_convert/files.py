"""Files that are read and written: plain ones only, and of a size that memory holds.

A pipe blocks whoever opens it until its other end is opened, and devices have no end.
"""

import errno
import os
import stat
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


def check_is_writable(path: Path) -> None:
    """Check that ``path`` leads to a plain file or nowhere, so that one can be written there.

    Raises:
        OSError: it leads to something else.
    """
    if path.exists():
        check_is_plain(path)


def write_text(path: Path, text: str) -> None:
    """Write a file, in UTF-8.

    Raises:
        OSError: it cannot be written, or ``path`` leads to a pipe, a socket, a device or a folder.
    """
    check_is_writable(path)
    path.write_text(text, "utf-8")


def _check_mode(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
