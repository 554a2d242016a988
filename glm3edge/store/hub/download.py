"""Progress of downloads: bytes counted over several files, and reported."""

import io
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm3edge.store.hub.listing import RemoteFile
from glm3edge_convert.counts import counted


@dataclass(frozen=True)
class DownloadProgress:
    """Progress of a download; what was there before counts as done."""

    file: str
    num_files_done: int
    num_files: int
    num_bytes_done: int
    num_bytes: int

    @property
    def phase(self) -> str:
        """What goes on."""
        return "pulling"

    @property
    def label(self) -> str:
        """Name of the file that is downloaded."""
        return self.file.rpartition("/")[2]

    @property
    def count(self) -> str:
        """Number of files done, in words."""
        return f"{self.num_files_done} of {counted(self.num_files, 'file')}"


class DownloadMeter:
    """Adds up the bytes of several files, and reports the sum unless ``report`` is None."""

    def __init__(
        self, files: Collection[RemoteFile], report: Callable[[DownloadProgress], None] | None
    ) -> None:
        self._num_files = len(files)
        self._num_bytes = sum(file.num_bytes for file in files)
        self._report = report
        self._num_files_done = 0
        self._num_bytes_of_files_done = 0

    def of(self, file: RemoteFile) -> Callable[[int], None]:
        """Takes how many bytes of a file are there; the whole file is for ``done()``."""

        def report(length: int) -> None:
            if length < file.num_bytes:
                self._send(file.path, self._num_bytes_of_files_done + length)

        return report

    def done(self, file: RemoteFile) -> None:
        """Report that all of a file is there."""
        self._num_files_done += 1
        self._num_bytes_of_files_done += file.num_bytes
        self._send(file.path, self._num_bytes_of_files_done)

    def _send(self, file: str, num_bytes_done: int) -> None:
        if self._report is None:
            return
        self._report(
            DownloadProgress(
                file=file,
                num_files_done=self._num_files_done,
                num_files=self._num_files,
                num_bytes_done=num_bytes_done,
                num_bytes=self._num_bytes,
            )
        )


class MeteredFile(io.BufferedRandom):
    """A file opened for appending that reports its length, at first and after each write."""

    def __init__(self, path: Path, report: Callable[[int], None]) -> None:
        path.touch()
        super().__init__(io.FileIO(path, "r+b"))
        self.seek(0, io.SEEK_END)
        self._report_length = report
        report(self.tell())

    def write(self, data: Any) -> int:
        """Write, and report the new length."""
        num_bytes = super().write(data)
        self._report_length(self.tell())
        return num_bytes
