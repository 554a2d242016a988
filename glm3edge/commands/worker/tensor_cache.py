"""Disk cache of the tensors that clients have sent, so that they need not send them again.

llama.cpp's server writes each tensor to a file and reads whatever it finds under a hash, without a
check that the file is complete: it would compute with one that was cut off by a kill or a full
disk. So it gets a folder for each session, with links to the tensors that are known to be complete,
and the files that it adds are kept only if the session ends well.

    tensors/                  complete tensors
    tensors/session-PID-xxx/  links to them, and new files of the session
"""

import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

MIN_FREE_BYTES = 2 * 2**30
"""Free disk space below which nothing is kept: more than arrives in a second."""

_PREFIX = "session-"


class TensorCache:
    """Folder of tensors, and the current session."""

    def __init__(self, folder: Path, *, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self.folder = folder
        self._min_free_bytes = min_free_bytes
        self._session: Path | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of all complete tensors."""
        return sum(path.stat().st_size for path in self._tensors())

    def open(self) -> Path:
        """Begin a session, and return its folder.

        Raises:
            OSError: the folder cannot be made or written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_dead_sessions()
        session = Path(
            tempfile.mkdtemp(prefix=f"{_PREFIX}{psutil.Process().pid}-", dir=self.folder)
        )
        for path in self._tensors():
            (session / path.name).symlink_to(path.resolve())
        self._session = session
        return session

    def watch(self) -> bool:
        """Discard the session if the disk is nearly full; whether it continues."""
        if self._session is not None and self.has_space():
            return True
        self.discard()
        return False

    def has_space(self) -> bool:
        """Whether the disk has enough free space."""
        folder = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        return shutil.disk_usage(folder).free >= self._min_free_bytes

    def keep(self, unfinished: Iterable[Path] = ()) -> None:
        """End the session and keep the files that it added, except ``unfinished`` ones."""
        session, self._session = self._session, None
        if session is None:
            return
        left_out = {path.name for path in unfinished}
        with suppress(OSError):
            for path in session.iterdir():
                if not path.is_symlink() and path.name not in left_out:
                    path.replace(self.folder / path.name)
        shutil.rmtree(session, ignore_errors=True)

    def discard(self) -> None:
        """End the session and remove its files; writing to it fails then."""
        session, self._session = self._session, None
        if session is not None:
            shutil.rmtree(session, ignore_errors=True)

    def _tensors(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.is_file()]

    def _remove_dead_sessions(self) -> None:
        """Remove the sessions of workers that were killed."""
        for path in self.folder.glob(f"{_PREFIX}*"):
            pid = path.name.removeprefix(_PREFIX).partition("-")[0]
            if not (pid.isdecimal() and psutil.pid_exists(int(pid))):
                shutil.rmtree(path, ignore_errors=True)
