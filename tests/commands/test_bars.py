"""Bars on terminals, and lines elsewhere."""

import os
import pty
import subprocess
import sys

import pytest

from glm3edge.commands.bars import counting_bar
from tests.support.cli import HANG_SECONDS

PROGRAM = """
from glm3edge.commands.bars import counting_bar
with counting_bar("chunk") as count:
    for number in range(3):
        count("model.gguf", number, 2)
"""


def test_elsewhere_a_line_as_something_begins(capsys: pytest.CaptureFixture[str]) -> None:
    with counting_bar("window") as count:
        for name, total in (("a", 1), ("b\x1b[1m", 2)):
            for number in range(total + 1):
                count(name, number, total)
    assert capsys.readouterr().err == "a: 1 window\nb\\x1b[1m: 2 windows\n"


def test_a_bar_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb") as terminal:
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
            timeout=HANG_SECONDS,
            check=True,
        )
        os.close(theirs)
        drawn = os.read(terminal.fileno(), 10_000).decode()
    assert result.stdout == b""
    assert "model.gguf" in drawn
    assert "━" in drawn
    assert "2/2" in drawn
