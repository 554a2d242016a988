"""Progress bars of commands that count what they compute."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from glm3edge_convert.counts import counted
from glm3edge_convert.printable import one_line

Count = Callable[[str, int, int], None]
"""Reports progress: what is computed, how many are done, and of how many."""


@contextmanager
def counting_bar(noun: str) -> Iterator[Count]:
    """A bar on a terminal, elsewhere a line as something begins; on stderr.

    Args:
        noun: what is counted, for one of it.
    """
    if not sys.stderr.isatty():
        yield lambda label, num_done, total: _print_start(label, num_done, counted(total, noun))
        return
    import rich.progress  # noqa: PLC0415 - it takes a while to import
    from rich.console import Console  # noqa: PLC0415

    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda label, num_done, total: bar.update(
            task, description=one_line(label), completed=num_done, total=total
        )


def _print_start(label: str, num_done: int, total: str) -> None:
    if num_done == 0:
        print(f"{one_line(label)}: {total}", file=sys.stderr)
