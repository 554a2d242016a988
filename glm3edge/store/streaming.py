"""Conversion of a checkpoint while it is downloaded: its weights are never on the disk as a whole.

Files of the weights come into the folder ``.<output>.weights`` beside the output, the next one
while one is converted. Each is removed when the output's part file has what it held. After an
interruption of any kind the same call goes on: with the part file, and with the rest of the file
that was on its way.
"""

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, not re-exported
    WeakFileLock,
)

from glm3edge.store.hub.clients import Hub
from glm3edge.store.hub.download import DownloadMeter, DownloadProgress
from glm3edge.store.hub.errors import HubSpaceError
from glm3edge.store.hub.pull import Pulled
from glm3edge_convert import convert
from glm3edge_convert.checkpoint.weights import weights_entry
from glm3edge_convert.errors import ConvertError, DiskFullError, OutputError
from glm3edge_convert.progress import Progress, Step

if TYPE_CHECKING:
    from glm3edge_convert.conversion import Summary

MAX_FILES = 2
"""Files that are on the disk at once: one is converted, the next one downloaded."""


@dataclass(frozen=True)
class StreamProgress:
    """Progress of a download and the conversion beside it; bytes of both are added up."""

    phase: str
    label: str
    count: str
    num_bytes_done: int
    num_bytes: int


class _StoppedError(Exception):
    """The other thread has ended."""


class WeightStream:
    """The weights of a checkpoint, downloaded in this thread and converted in another.

    See ``glm3edge_convert.checkpoint.shards.WeightFeed`` for what conversion calls.
    """

    def __init__(
        self, hub: Hub, pulled: Pulled, report: Callable[[Step], None] | None = None
    ) -> None:
        """Bring the weights of ``pulled``; what is ``missing`` of them is downloaded."""
        self._hub = hub
        self._pulled = pulled
        self._files = {name: pulled.listing.files[name] for name in pulled.weights}
        self.entry = weights_entry(pulled.files) or ""
        self.key = "\n".join(f"{f.path} {f.num_bytes} {f.sha256}" for f in self._files.values())
        self.num_bytes = sum(file.num_bytes for file in self._files.values())
        before = DownloadProgress("", 0, len(self._files), 0, self.num_bytes)
        self._progress = _JointProgress(before, report)
        self._meter = DownloadMeter(self._files.values(), self._progress.update)
        self._changed = threading.Condition()
        self._expected: list[str] | None = None
        self._there: set[str] = set()
        self._is_stopped = False

    def convert(self, output: Path, *, quant_type: str) -> None:
        """Convert to ``output``, unless another process has done so meanwhile.

        Raises:
            HubError: the download failed; the next call goes on from there.
            OutputError: the disk has no room; the same.
            ConvertError: the checkpoint cannot be converted; nothing of it stays.
        """
        self._output, self._folder = output, output.with_name(f".{output.name}.weights")
        locks = output.parent.with_name("locks")
        try:
            locks.mkdir(exist_ok=True)
            with WeakFileLock(locks / f"{output.name}.lock"), self._cleaning_up():
                if not output.exists():
                    self._folder.mkdir(exist_ok=True)
                    self._run(quant_type)
        except OSError as exc:
            raise OutputError(output, f"{exc.strerror or exc}; check the folder") from exc

    def expect(self, names: Sequence[str], num_bytes: int) -> None:
        """Take note of the files that will be fetched, in that order."""
        self._check_space(names, num_bytes)
        for name in self._files.keys() - names:  # a killed run has converted them
            self._own_path(name).unlink(missing_ok=True)
            self._meter.done(self._files[name])
        with self._changed:
            self._expected = list(names)
            self._changed.notify_all()

    def fetch(self, name: str) -> Path:
        """Wait until a file is there; its path."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped or name in self._there)
            if self._is_stopped:
                raise _StoppedError
        return self._path(name)

    def release(self, name: str) -> None:
        """Remove a file, unless it is the hub's."""
        self._own_path(name).unlink(missing_ok=True)
        with self._changed:
            self._there.remove(name)
            self._changed.notify_all()

    @contextmanager
    def _cleaning_up(self) -> Iterator[None]:
        """Remove the folder at the end, unless another run can go on with what is in it."""
        is_useful = False
        try:
            yield
        except BaseException as exc:
            is_useful = isinstance(exc, OutputError) or not isinstance(exc, ConvertError)
            raise
        finally:
            is_empty = all(path.suffix == ".lock" for path in self._folder.glob("*"))
            if is_empty or not is_useful:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, quant_type: str) -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="convert") as executor:
            conversion = executor.submit(
                convert,
                self._pulled.path,
                self._output,
                quant_type=quant_type,
                progress=self._converted,
                feed=self,
            )
            conversion.add_done_callback(lambda _: self._notify())
            try:
                while name := self._next(conversion):
                    self._download(name, conversion)
                conversion.result()
            finally:
                self._is_stopped = True
                self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _next(self, conversion: "Future[Summary]") -> str | None:
        """The file to download now; waits for room. None if there is none, or no use for one."""
        with self._changed:
            while not conversion.done():
                if self._expected == []:
                    return None
                if self._expected and len(self._there) < MAX_FILES:
                    return self._expected.pop(0)
                self._changed.wait(1)  # with an end, so that Ctrl+C works on Windows too
        return None

    def _download(self, name: str, conversion: "Future[Summary]") -> None:
        file = self._files[name]
        show = self._meter.of(file)

        def report(length: int) -> None:
            if conversion.done():
                raise _StoppedError
            show(length)

        if not self._path(name).is_file():
            try:
                self._hub.download(self._pulled.listing, name, self._own_path(name), report)
            except _StoppedError:
                return  # the conversion says why
            except HubSpaceError as exc:  # it knows its own cache only
                raise self._disk_full(self._num_bytes_missing(name)) from exc
        self._meter.done(file)
        with self._changed:
            self._there.add(name)
            self._changed.notify_all()

    def _converted(self, progress: Progress) -> None:
        if self._is_stopped:
            raise _StoppedError
        self._progress.update(progress)

    def _path(self, name: str) -> Path:
        """Where a file is, or is going to be."""
        return self._own_path(name) if name in self._pulled.missing else self._pulled.path / name

    def _own_path(self, name: str) -> Path:
        return self._folder / name

    def _num_bytes_missing(self, name: str) -> int:
        own = self._own_path(name)
        paths = (self._path(name), own.with_name(f"{own.name}.incomplete"))
        there = next((path.stat().st_size for path in paths if path.is_file()), 0)
        return max(0, self._files[name].num_bytes - there)

    def _check_space(self, names: Sequence[str], num_bytes: int) -> None:
        """Raise DiskFullError unless the rest of the output and the largest files have room."""
        largest = sorted(map(self._num_bytes_missing, names))[-MAX_FILES:]
        error = self._disk_full(num_bytes + sum(largest))
        if error.num_bytes_free < error.num_bytes_needed:
            raise error

    def _disk_full(self, num_bytes_needed: int) -> DiskFullError:
        free = shutil.disk_usage(self._folder).free
        return DiskFullError(self._output, num_bytes_needed=num_bytes_needed, num_bytes_free=free)


class _JointProgress:
    """Adds up the progress of both threads."""

    def __init__(self, before: DownloadProgress, report: Callable[[Step], None] | None) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._steps: dict[type, Step] = {DownloadProgress: before}

    def update(self, progress: Step) -> None:
        """Report the sum with the latest progress of one thread."""
        if self._report is None:
            return
        with self._lock:
            self._steps[type(progress)] = progress
            steps = self._steps.values()
            going_on = (step for step in steps if step.num_bytes_done < step.num_bytes)
            self._report(
                StreamProgress(
                    phase=next(going_on, progress).phase,
                    label=progress.label,
                    count=", ".join(step.count for step in steps),
                    num_bytes_done=sum(step.num_bytes_done for step in steps),
                    num_bytes=sum(step.num_bytes for step in steps),
                )
            )
