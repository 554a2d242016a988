"""Chinese Markdown in the terminal: its lines, and what is bold."""

import pytest
from rich.console import Console

from glm3edge.commands.chat.terminal.markdown import render
from tests.support.chinese_text import ROWS, in_terminal


@pytest.mark.parametrize(("markdown", "shown"), ROWS)
def test_lines_and_bold_text(markdown: str, shown: str) -> None:
    assert in_terminal(markdown) == shown


@pytest.mark.parametrize(
    "cell", ["**标题：**内容", "**“引用”**后面", "**「重要」**な点", "**주의:**다음"]
)
def test_bold_text_in_a_table(cell: str) -> None:
    console = Console(force_terminal=True, width=40, color_system="standard")
    lines = render(f"| a | b |\n| --- | --- |\n| {cell} | ~~删除。~~然后 |", console)
    bold = cell.split("**")[1]
    assert f"\x1b[1m{bold}\x1b[0m" in lines[-1]
    assert "\x1b[9m删除。\x1b[0m" in lines[-1]
