"""Files that would command the terminal, or stop a command: what is printed of them is plain."""

import json
import os
from pathlib import Path

import pytest

from glm3edge.commands.app import app
from glm3edge_convert.printable import one_line
from tests.support.hostile_gguf import HIDDEN, Document, Info, value_bytes

STRING, FLOAT32 = 8, 6


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A file whose keys, values, tensors and architecture hide something."""
    values = {
        b"general.architecture": value_bytes(STRING, HIDDEN),
        b"general.name": value_bytes(STRING, f"a\n{HIDDEN}" * 30),
        HIDDEN.encode(): value_bytes(STRING, [HIDDEN] * 20),
        b"nan": value_bytes(FLOAT32, [float("nan"), float("inf")]),
    }
    path = tmp_path / "a.gguf"
    info = Info(HIDDEN.encode(), (8,), 0, 0)
    path.write_bytes(Document(values, (info,), bytes(32)).encode()[0])
    return path


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and output, in which each line is plain."""
    with pytest.raises(SystemExit) as ended:
        app([*arguments])
    assert isinstance(ended.value.code, int)
    found = capfd.readouterr()
    for line in (found.out + found.err).split("\n"):
        assert one_line(line) == line
    return ended.value.code, found.out + found.err


def test_inspect(hostile: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, text = run(capfd, "inspect", str(hostile), "--tensors")
    assert code == 0
    assert r"\x1b[2J\x1b]0;t\x07\x9b\u202e\u200b\u2028\U000e0041\ufeff" in text
    code, text = run(capfd, "inspect", str(hostile), "--tensors", "--json")
    assert code == 0
    found = json.loads(text)
    assert found["metadata"][HIDDEN]["first"][0] == HIDDEN
    assert found["metadata"]["nan"] == ["nan", "inf"]
    assert found["tensors"][0]["name"] == HIDDEN


@pytest.mark.parametrize("command", [("plan",), ("serve", "--port", "0")])
def test_an_unknown_architecture(
    hostile: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    code, text = run(capfd, *command, str(hostile))
    assert code == 8
    assert r"its architecture is \x1b[2J" in text


@pytest.mark.skipif(os.name == "nt", reason="pipes have no place in a folder there")
@pytest.mark.parametrize("command", ["plan", "serve", "inspect"])
def test_a_pipe(tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    code, text = run(capfd, command, str(tmp_path / "pipe.gguf"))
    assert code in {2, 8}
    assert "it is a pipe, not a file" in text or "there is no file" in text
