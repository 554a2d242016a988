"""Messages in quotes, and the history of input lines."""

import asyncio
from pathlib import Path

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from glm3edge.commands.chat.terminal import reader
from glm3edge.commands.chat.terminal.reader import (
    PrivateHistory,
    Reader,
    is_unfinished,
    message_of,
)


def test_messages_in_quotes() -> None:
    assert is_unfinished('"""one')
    assert is_unfinished('"""')
    assert not is_unfinished('"""one\n"""')
    assert message_of('"""\none\n  two\n"""') == "one\n  two"
    assert message_of(" one ") == "one"


def test_history_is_private_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glm3edge.commands.chat.terminal.reader._MAX_ENTRIES", 3)
    path = tmp_path / "state" / "history"
    history = PrivateHistory(path)
    for line in ["one", " secret", "two\nlines", *map(str, range(10))]:
        history.append_string(line)
    assert path.stat().st_mode & 0o077 == 0
    assert "secret" not in path.read_text()
    assert "two\n+lines" in path.read_text()
    assert list(PrivateHistory(path).load_history_strings()) == ["9", "8", "7"]


@pytest.mark.parametrize("keep_history", [True, False])
def test_without_a_history_nothing_is_stored(
    keep_history: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "history_path", lambda: tmp_path / "history")

    async def main() -> str:
        with create_pipe_input() as pipe:
            typed = Reader(models=list, keep_history=keep_history, input=pipe, output=DummyOutput())
            pipe.send_text("what is typed\r")
            return await typed.message("> ")

    assert asyncio.run(main()) == "what is typed"
    stored = [path.read_text() for path in tmp_path.iterdir()]
    assert ["what is typed" in text for text in stored] == ([True] if keep_history else [])
