"""Messages in quotes, and the history of input lines."""

from pathlib import Path

import pytest

from glm3edge.commands.chat.terminal.reader import PrivateHistory, is_unfinished, message_of


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
