"""Tables of reports: for a terminal, for a pipe, and as Markdown."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glm3edge_convert.printable import one_line

_UNLIMITED = 10_000


class _PlainTable(Table):
    """Table whose cells are plain text, each in one line, with nothing hidden in it."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row."""
        super().add_row(*(Text(one_line(cell)) for cell in cells), **options)


def new_table(*headings: str, overflow: Literal["fold", "ellipsis"] = "fold") -> Table:
    """Table without lines; ``>`` before a heading aligns its column right.

    Args:
        headings: of the columns.
        overflow: what becomes of a cell that is too wide for the terminal.
    """
    table = _PlainTable(box=None, pad_edge=False, header_style="")
    for heading in headings:
        table.add_column(
            heading.removeprefix(">"),
            justify="right" if heading.startswith(">") else "left",
            overflow=overflow,
        )
    return table


def render_table(table: Table, width: int | None) -> str:
    """Text of a table, at most ``width`` columns wide; None sets no limit."""
    console = Console(width=width or _UNLIMITED, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def print_table(table: Table) -> None:
    """Print a table, as wide as the terminal at most."""
    print(render_table(table, Console().width if sys.stdout.isatty() else None))


def show_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], console: Console | None = None
) -> None:
    """Print a table: drawn on a terminal, in Markdown elsewhere."""
    console = console or Console()
    if not console.is_terminal:
        console.file.write("\n".join(markdown_table(headings, rows)) + "\n")
        return
    table = Table(*headings)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table in Markdown."""
    return [
        f"| {' | '.join(headings)} |",
        f"|{' --- |' * len(headings)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
