"""Transfer of one file from a hub, resumed where the last run stopped, and checked at its end.

``huggingface_hub`` starts an interrupted file from the beginning, and compares no checksums. Here a
file grows as ``<name>.incomplete`` and gets its name once it has the size and the SHA-256 that the
hub lists.
"""

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, not re-exported
    WeakFileLock,
)
from huggingface_hub.utils.sha import sha_fileobj

from glm3edge.store.hub.download import MeteredFile
from glm3edge.store.hub.errors import ChecksumError, DownloadBrokenError, HubSpaceError
from glm3edge.store.hub.listing import RemoteFile
from glm3edge.store.hub.names import HubKind, HubName
from glm3edge.store.hub.translation import HTTP_ERROR

MAX_STALLS = 3
"""Attempts in a row without a byte received before a download is given up."""

_NO_SUCH_RANGE = 416

# What the library writes at a time, and what an interruption may lose. Its 10 MiB take most of a
# minute on a slow line, while no progress shows.
constants.DOWNLOAD_CHUNK_SIZE = 2**20


@dataclass(frozen=True)
class Transfer:
    """Way of a file to the disk.

    Attributes:
        name: the repository.
        file: the file, as the hub lists it.
        url: where it is.
        target: path that it gets once it is complete.
        headers: sent with the request; those with secrets go to no other host.
    """

    name: HubName
    file: RemoteFile
    url: str
    target: Path
    headers: dict[str, str]

    @property
    def num_bytes_missing(self) -> int:
        """Bytes that have still to be received."""
        there = (path.stat().st_size for path in (self.target, self._part) if path.exists())
        return max(0, self.file.num_bytes - next(there, 0))

    @property
    def is_done(self) -> bool:
        """Whether the file is at its target; reads all of it, unless its checksum is its name."""
        target, expected = self.target, self.file.sha256
        if not target.is_file() or target.stat().st_size != self.file.num_bytes:
            return False
        return expected is None or target.name == expected or _sha256(target) == expected

    @property
    def _part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.incomplete")

    def run(self, locks: Path, report: Callable[[int], None]) -> None:
        """Download what is missing; other processes that want the same file wait.

        Args:
            locks: folder of lock files.
            report: called with the number of bytes that are there.

        Raises:
            ChecksumError: what came is damaged; it was removed.
            DownloadBrokenError: the connection broke and could not be made again.
        """
        for folder in (locks, self.target.parent):
            folder.mkdir(parents=True, exist_ok=True)
        lock = self.file.sha256 or hashlib.sha256(str(self.target).encode()).hexdigest()
        with WeakFileLock(locks / f"{lock}.lock"):
            if self.is_done:
                return
            self._download(report)
            self._check()
            self._part.replace(self.target)

    def _download(self, report: Callable[[int], None]) -> None:
        """Append to the part what it lacks of the whole file."""
        part, num_bytes = self._part, self.file.num_bytes
        if part.exists() and part.stat().st_size > num_bytes:
            part.unlink()  # it is another file
        num_stalls = 0
        while num_stalls < MAX_STALLS:
            with MeteredFile(part, report) as stream:
                start = stream.tell()
                if start > num_bytes:
                    return  # the check will find out
                try:
                    http_get(
                        self.url,
                        stream,
                        resume_size=start,
                        headers=self.headers,
                        expected_size=num_bytes,
                        displayed_filename=self.file.path,
                    )
                except (OSError, HTTP_ERROR) as exc:
                    if _status(exc) == _NO_SUCH_RANGE:
                        return  # so it will here: the hub's file is shorter than it says
                    if not _is_broken_connection(exc):
                        raise
                    num_stalls = 0 if stream.tell() > start else num_stalls + 1
                else:
                    return
            time.sleep(num_stalls)
        raise self._broken()

    def _check(self) -> None:
        """Remove the part unless it is what the hub lists.

        Raises:
            ChecksumError: it has another checksum.
            DownloadBrokenError: it has another length, and no checksum is known.
        """
        part, expected = self._part, self.file.sha256
        if expected is None:
            if part.stat().st_size == self.file.num_bytes:
                return
            error: Exception = self._broken()
        elif (found := _sha256(part)) == expected:
            return
        else:
            error = ChecksumError(self.name, self.file.path, expected=expected, found=found)
        part.unlink()
        raise error

    def _broken(self) -> DownloadBrokenError:
        return DownloadBrokenError(
            self.name,
            self.file.path,
            num_bytes=self._part.stat().st_size,
            num_bytes_total=self.file.num_bytes,
        )


def check_space(cache_dir: Path, hub: HubKind, num_bytes_needed: int) -> None:
    """Check that a hub's cache folder has room.

    Raises:
        HubSpaceError: it has not.
    """
    folder = next(path for path in (cache_dir, *cache_dir.parents) if path.exists())
    num_bytes_free = shutil.disk_usage(folder).free
    if num_bytes_needed > num_bytes_free:
        raise HubSpaceError(
            cache_dir, hub, num_bytes_needed=num_bytes_needed, num_bytes_free=num_bytes_free
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return sha_fileobj(stream).hex()


def _status(exc: BaseException) -> int | None:
    """HTTP status of the hub's reply, None if there was none."""
    return exc.response.status_code if isinstance(exc, HfHubHTTPError) else None


def _is_broken_connection(exc: BaseException) -> bool:
    """Whether a retry may help: the hub failed with a 5xx status, or did not answer."""
    status = _status(exc)
    if status is not None:
        return status >= 500
    return not (isinstance(exc, OSError) and exc.errno is not None)
