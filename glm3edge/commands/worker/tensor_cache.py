"""Tensors that clients have sent, kept on disk so that they need not send them again.

llama.cpp's server writes each into a file and reads whatever it finds under a hash, without looking
whether all of it is there: what was cut off by a kill or a full disk would be computed with. So it
gets a folder for one session, with links to the tensors that are known to be whole, and what it
added is kept when the session has come to a good end.

    tensors/                  whole tensors
    tensors/session-PID-xxx/  links to them, and files of the session
"""

import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

MIN_FREE_BYTES = 2 * 2**30
"""Room on the disk below which nothing is kept: more than comes in a second."""

_PREFIX = "session-"


class TensorCache:
    """The folder, and the session that runs."""

    def __init__(self, folder: Path, *, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self.folder = folder
        self._min_free_bytes = min_free_bytes
        self._session: Path | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of all whole tensors."""
        return sum(path.stat().st_size for path in self._tensors())

    def open(self) -> Path:
        """Begin a session; returns the folder for it.

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
        """Give the session up if the disk gets full; whether it goes on."""
        if self._session is not None and self.has_room():
            return True
        self.discard()
        return False

    def has_room(self) -> bool:
        """Whether the disk has room enough."""
        place = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        return shutil.disk_usage(place).free >= self._min_free_bytes

    def keep(self, unfinished: Iterable[Path] = ()) -> None:
        """End the session and keep what it added, ``unfinished`` files excepted."""
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
        """End the session and keep nothing of it. Whoever still writes to it fails."""
        session, self._session = self._session, None
        if session is not None:
            shutil.rmtree(session, ignore_errors=True)

    def _tensors(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.is_file()]

    def _remove_dead_sessions(self) -> None:
        """Those of workers that were killed."""
        for path in self.folder.glob(f"{_PREFIX}*"):
            pid = path.name.removeprefix(_PREFIX).partition("-")[0]
            if not (pid.isdecimal() and psutil.pid_exists(int(pid))):
                shutil.rmtree(path, ignore_errors=True)
