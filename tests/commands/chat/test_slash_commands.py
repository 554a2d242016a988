"""Slash commands: which a line is, and which may have been meant."""

import pytest

from glm3edge.commands.chat.slash_commands import Command, parse_command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/help", Command("help")),
        ("/HELP ", Command("help")),
        ("/quit", Command("exit")),
        ("/system You are\na poet", Command("system", "You are\na poet")),
        ("/set temperature 0.7", Command("set", "temperature 0.7")),
        ("/sistem x", Command("sistem", "x")),
        (" /help", None),
        ("/usr/bin is what?", None),
        ("/", None),
        ("你好 /help", None),
    ],
)
def test_commands(line: str, command: Command | None) -> None:
    assert parse_command(line) == command


def test_nearest_command() -> None:
    assert Command("sistem").nearest == "system"
    assert Command("xyzzy").nearest is None
