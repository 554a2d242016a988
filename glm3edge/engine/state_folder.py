"""Folder of saved states: private to its user, bounded, and evicted in the order of use.

Servers may share a folder. A file appears under its name only when it is complete, and may be
removed at any time.
"""

import errno
import hashlib
import logging
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from glm3edge.engine.state_file import (
    KEY_BYTES,
    Head,
    Ids,
    UnsignedStateError,
    opened,
    pack_head,
    read_head,
    read_state,
)

logger = logging.getLogger(__name__)

_SUFFIX, _PART_SUFFIX, _KEY_NAME = ".state", ".part", "key"
_STALE_SECONDS = 3600
_FULL = {errno.ENOSPC, errno.EDQUOT}


class _File(NamedTuple):
    """A file of the folder.

    Its time of modification is no time: ``last_use`` counts the uses of all files, in seconds since
    1970, and goes on from the largest there is. So it holds when the clock is set back, and in
    file systems that keep whole seconds.
    """

    last_use: float
    size: int
    path: Path


class StateFolder:
    """Saved states in a folder that no other user can read or change."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        """Make the folder, if it does not exist, and its key.

        Args:
            path: the folder.
            max_bytes: limit for all states together.

        Raises:
            OSError: it cannot be made, or others have access to it.
        """
        self.path = path
        self._max_bytes = max_bytes
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_private(path)
        self._signing_key = _signing_key(path)

    def scan(self) -> Iterator[tuple[Path, Head]]:
        """Path and head of each state of any model; removes what is none."""
        for path in list(self.path.iterdir()):
            if path.suffix == _PART_SUFFIX:
                _sweep(path)
            elif path.suffix == _SUFFIX and (head := self._read_head(path)) is not None:
                yield path, head

    def has(self, path: Path) -> bool:
        """Whether a file is there: another server may have evicted it."""
        with suppress(OSError):
            return stat.S_ISREG(path.lstat().st_mode)
        return False

    def read(self, path: Path) -> bytes | None:
        """The state in a file, which counts as used; None if it cannot be read or believed."""
        try:
            with opened(path) as file:
                state = read_state(file, read_head(file, self._signing_key))
            with suppress(OSError):  # it has been read
                self._mark_used(path)
        except ValueError as exc:
            self._refuse(path, exc)
        except FileNotFoundError:
            pass  # another server has evicted it
        except (OSError, MemoryError) as exc:
            logger.warning("cannot read %s: %s", path, exc)
        else:
            return state
        return None

    def write(self, model_key: bytes, token_ids: Ids, state: bytes | bytearray) -> Path | None:
        """Write a state, in place of the least recently used where the disk is full.

        Returns:
            Its file; None if it is larger than the limit.

        Raises:
            OSError: it cannot be written.
        """
        head = pack_head(self._signing_key, model_key, token_ids, state)
        size = len(head) + len(state)
        if size > self._max_bytes:
            return None
        name = hashlib.blake2b(model_key + token_ids.tobytes(), digest_size=16).hexdigest()
        path = self.path / f"{name}{_SUFFIX}"
        while True:
            try:
                self._write_file(path, head, state)
            except OSError as exc:
                if exc.errno not in _FULL or not self._remove_oldest(size):
                    raise
            else:
                return path

    def evict(self) -> set[Path]:
        """Remove the least recently used states of any model, down to the limit.

        Returns:
            The files that are left.
        """
        files = self._files()
        excess = sum(file.size for file in files) - self._max_bytes
        return {file.path for file in files} - self._remove_oldest(excess)

    def remove(self, path: Path) -> bool:
        """Remove a file; whether it is gone."""
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            logger.warning("cannot remove %s: %s", path, exc)
            return False
        return True

    def _read_head(self, path: Path) -> Head | None:
        try:
            with opened(path) as file:
                return read_head(file, self._signing_key)
        except UnsignedStateError:
            self.remove(path)
        except ValueError as exc:
            self._refuse(path, exc)
        except OSError as exc:
            logger.debug("cannot read %s: %s", path, exc)
        return None

    def _refuse(self, path: Path, reason: ValueError) -> None:
        logger.warning("%s is not a saved KV cache: %s; it is removed", path, reason)
        self.remove(path)

    def _write_file(self, path: Path, head: bytes, state: bytes | bytearray) -> None:
        part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{_PART_SUFFIX}")
        try:
            _write_private(part, head, state)
            self._mark_used(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _mark_used(self, path: Path) -> None:
        last_use = int(max((file.last_use for file in self._files()), default=0)) + 1
        os.utime(path, (last_use, last_use))

    def _remove_oldest(self, num_bytes: int) -> set[Path]:
        """Remove the least recently used states of ``num_bytes`` together; returns which."""
        removed = set[Path]()
        for file in sorted(self._files()):
            if num_bytes <= 0:
                break
            if self.remove(file.path):
                removed.add(file.path)
                num_bytes -= file.size
        return removed

    def _files(self) -> list[_File]:
        found = []
        for path in self.path.glob(f"*{_SUFFIX}"):
            with suppress(OSError):  # another server has evicted it
                status = path.stat(follow_symlinks=False)
                found.append(_File(status.st_mtime, status.st_size, path))
        return found


def _make_private(folder: Path) -> None:
    """Take a folder's access from all other users.

    Raises:
        PermissionError: it is another user's, or its file system knows no access rights.
    """
    with suppress(PermissionError):
        folder.chmod(0o700)
    if not _is_private(folder.stat()):
        raise PermissionError(
            errno.EPERM, "it belongs to another user, or its file system cannot keep others out"
        )


def _signing_key(folder: Path) -> bytes:
    """The folder's key, made at its first use: whole or not at all, and by one server alone."""
    path = folder / _KEY_NAME
    if (key := _read_key(path)) is not None:
        return key
    part = folder / f".{_KEY_NAME}.{secrets.token_hex(4)}{_PART_SUFFIX}"
    try:
        _write_private(part, secrets.token_bytes(KEY_BYTES))
        try:
            os.link(part, path)
        except FileExistsError:
            pass  # another server was first
        except OSError:  # a file system without links
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if (key := _read_key(path)) is None:
        raise PermissionError(errno.EPERM, f"its file {_KEY_NAME} cannot be read")
    return key


def _read_key(path: Path) -> bytes | None:
    """The key in a file; None, and it is removed, if others may know it or it is none."""
    with suppress(FileNotFoundError, ValueError), opened(path) as file:
        key = file.read(KEY_BYTES + 1)
        if len(key) == KEY_BYTES and _is_private(os.fstat(file.fileno())):
            return key
    path.unlink(missing_ok=True)
    return None


def _is_private(status: os.stat_result) -> bool:
    if not hasattr(os, "geteuid"):
        return True  # Windows: what is in a user's profile is the user's
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _write_private(path: Path, *parts: bytes | bytearray) -> None:
    """Write a new file that no other user can read, whatever the umask."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR), "wb") as file:
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        for part in parts:
            file.write(part)


def _sweep(path: Path) -> None:
    """Remove what a killed process left; no server writes a file for so long."""
    with suppress(OSError):
        if abs(time.time() - path.stat(follow_symlinks=False).st_mtime) > _STALE_SECONDS:
            path.unlink()
