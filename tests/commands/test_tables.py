"""Tables as text and as Markdown."""

import io

import pytest
from rich.console import Console

from glm3edge.commands.tables import (
    markdown_table,
    new_table,
    print_table,
    render_table,
    show_table,
)


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("NAME", ">SIZE")
    table.add_row("[a]", "1")
    table.add_row("long", "1,024")
    text = "NAME   SIZE\n[a]       1\nlong  1,024"
    assert render_table(table, None) == text
    print_table(table)
    assert capsys.readouterr().out == f"{text}\n"


def test_cells_that_are_too_wide() -> None:
    folded, cut = new_table("NAME"), new_table("NAME", overflow="ellipsis")
    for table in (folded, cut):
        table.add_row("x" * 10)
    assert render_table(folded, 6) == "NAME\nxxxxxx\nxxxx"
    assert render_table(cut, 6) == "NAME\nxxxxx…"


def test_markdown() -> None:
    rows = [("1", "2"), ("3", "4")]
    assert markdown_table(["a", "b"], rows) == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | 2 |",
        "| 3 | 4 |",
    ]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_drawn_in_a_terminal_and_markdown_elsewhere(is_terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=40)
    show_table(["name", "size"], [("[red]a", "1")], console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert ("┃" in text) == is_terminal
    assert ("| --- |" in text) != is_terminal
    assert "[red]a" in text
