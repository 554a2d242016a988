"""What ``glm3edge chat`` refuses before anything is loaded."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from glm3edge.commands.app import app
from glm3edge.commands.chat.command import message_of, read_piped
from glm3edge.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to send"),
        (["--set", "temprature=1", "hi"], "unknown setting temprature; is temperature meant?"),
        (["--set", "temperature=3", "hi"], "temperature: Input should be less than or equal to 2"),
        (["--allow-tool", "f", "hi"], "--allow-tool f: give --tool, --mcp"),
        (["--set", "temperature", "hi"], "write NAME=VALUE"),
        (["--lang", "fr", "hi"], "--lang fr: choose one of en, zh"),
        (["model.gguf"], "write glm3edge run model.gguf"),
        (["chatglm3-6b:q4_0"], "write glm3edge run chatglm3-6b:q4_0"),
        (["--base-url", "ftp://x", "hi"], "give an address"),
    ],
)
def test_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["chat", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_nobody_is_there() -> None:
    result = CliRunner().invoke(app, ["chat", "--base-url", "http://127.0.0.1:9", "hi"])
    assert result.exit_code == 1
    assert "error: cannot reach http://127.0.0.1:9/v1" in result.stderr


def test_a_file_of_tools_is_missing(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["chat", "--tools", str(tmp_path / "none"), "hi"])
    assert result.exit_code == 1
    assert "No such file" in result.stderr


def test_message_of_words_and_a_pipe() -> None:
    assert message_of(["Sum", "up"], "text\n") == "Sum up\n\ntext"
    assert message_of([], "text\n") == "text"
    with pytest.raises(ConfigError):
        message_of([" "], "\n")


def test_pipes_of_older_chinese_files(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "gb18030"):
        path = tmp_path / encoding
        path.write_bytes("你好，世界".encode(encoding))
        with path.open("rb") as file:
            assert read_piped(file) == "你好，世界"
