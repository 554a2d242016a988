"""Progress of conversions and downloads, and the bar that shows it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from glm3edge_convert.counts import counted
from glm3edge_convert.printable import one_line

PLAIN_STEP = 10  # percent between lines where stderr is not a terminal


class Step(Protocol):
    """Progress of something whose bytes are counted: a conversion, or a download before it."""

    @property
    def phase(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def count(self) -> str: ...
    @property
    def num_bytes_done(self) -> int: ...
    @property
    def num_bytes(self) -> int: ...


@dataclass(frozen=True)
class Progress:
    """Progress of a conversion; bytes are the output's."""

    tensor: str
    num_tensors_done: int
    num_tensors: int
    num_bytes_done: int
    num_bytes: int

    @property
    def phase(self) -> str:
        """What goes on."""
        return "converting"

    @property
    def label(self) -> str:
        """Name of the tensor that is being converted."""
        return self.tensor

    @property
    def count(self) -> str:
        """Progress in words."""
        return f"{self.num_tensors_done} of {counted(self.num_tensors, 'tensor')}"


@contextmanager
def progress_bar(
    write_line: Callable[[str], None] | None = None,
) -> Iterator[Callable[[Step], None]]:
    """A progress bar with the time left on a terminal, a line now and then elsewhere; on stderr.

    Args:
        write_line: takes the lines instead; there is no bar then.
    """
    if write_line or not sys.stderr.isatty():
        yield _PlainProgress(write_line or _print_to_stderr)
        return
    import rich.progress  # noqa: PLC0415  (it takes a while to import)
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(binary_units=True),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)  # until its size is known

        def show(progress: Step) -> None:
            bar.update(
                task,
                visible=True,
                description=one_line(progress.label) or "done",
                total=progress.num_bytes,
                completed=progress.num_bytes_done,
            )

        yield show


class _PlainProgress:
    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._next_percent = PLAIN_STEP

    def __call__(self, progress: Step) -> None:
        percent = 100 * progress.num_bytes_done // max(1, progress.num_bytes)
        if percent < self._next_percent - PLAIN_STEP:  # something else has begun
            self._next_percent = PLAIN_STEP
        if percent >= self._next_percent:
            self._write_line(f"{percent}% {progress.count}")
            self._next_percent = percent - percent % PLAIN_STEP + PLAIN_STEP


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
