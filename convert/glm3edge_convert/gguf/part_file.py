"""Temporary file beside an output, locked while it is written, and the journal of what it holds."""

import glob
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from glm3edge_convert.files import check_is_writable, open_file, read_file
from glm3edge_convert.gguf.locking import try_lock


@dataclass
class PartFile:
    """The temporary file, open and locked.

    Attributes:
        path: its path.
        file: the open file.
        is_kept: whether it outlives this process although it has not become the output.
    """

    path: Path
    file: BinaryIO
    is_kept: bool = False

    def sync(self) -> None:
        """Flush what was written to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def move_to(self, path: Path) -> None:
        """Give the file its final name."""
        if sys.platform == "win32":  # no open file can be renamed there
            self.file.close()
        self.path.replace(path)

    def has_its_name(self) -> bool:
        """Whether the open file is still the one that ``path`` leads to."""
        try:
            return os.path.samestat(os.fstat(self.file.fileno()), self.path.lstat())
        except FileNotFoundError:
            return False


class Journal:
    """File that says how many tensors of a part file are on the disk, and of which conversion."""

    def __init__(self, part: Path, key: str) -> None:
        self._path = part.with_name(part.name + ".json")
        self._key = key

    def remove(self) -> None:
        """Remove the file, if there is one."""
        with suppress(OSError):
            self._path.unlink()

    def read(self) -> int:
        """Number of tensors on the disk; 0 if they are another conversion's."""
        try:
            content = json.loads(read_file(self._path))
            is_same = content["key"] == self._key
            return int(content["num_tensors"]) if is_same else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def write(self, num_tensors: int) -> None:
        """Replace the number of tensors on the disk."""
        text = json.dumps({"key": self._key, "num_tensors": num_tensors})
        new = self._path.with_name(self._path.name + ".new")
        new.unlink(missing_ok=True)  # never into a pipe
        with new.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


@contextmanager
def open_part(path: Path) -> Iterator[PartFile]:
    """Open the temporary file of the output ``path``, ``.<name>.part``.

    While another process has that file, one of another name is opened. On leaving the file is
    removed, unless it has become the output or is to be kept.
    """
    _remove_abandoned(path)
    part = _open_locked(path.with_name(f".{path.name}.part"))
    if part is None:
        name = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        part = PartFile(name, name.open("x+b"))
        try_lock(part.file)
    with part.file:
        try:
            yield part
        finally:
            # Removed while it is locked: no other process has opened it yet.
            if sys.platform == "win32":
                part.file.close()
            with suppress(OSError):  # no failure here hides the first
                if not part.is_kept and (sys.platform == "win32" or part.has_its_name()):
                    part.path.unlink()


def _open_locked(path: Path) -> PartFile | None:
    """The file of that name, locked; None if another process has it, or nobody can lock it."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    while True:
        check_is_writable(path)
        part = PartFile(path, os.fdopen(os.open(path, flags, 0o666), "r+b"))
        is_locked = try_lock(part.file)
        if is_locked and part.has_its_name():
            return part
        # The process that had it may have finished meanwhile: then it is an output now.
        part.file.close()
        if not is_locked:
            if is_locked is None and path.stat().st_size == 0:
                path.unlink()
            return None


def _remove_abandoned(path: Path) -> None:
    """Remove the files of other names that killed processes have left."""
    pattern = f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.part"
    for abandoned in path.parent.glob(pattern):
        with suppress(OSError), open_file(abandoned) as file:
            if try_lock(file):
                abandoned.unlink()
