"""``glm3edge export-tokenizer``: the files that it writes, and those that it leaves alone."""

import json
import os
from pathlib import Path

import pytest

from glm3edge_convert import export_tokenizer
from glm3edge_convert.errors import (
    NotACheckpointError,
    OutputError,
    OutputExistsError,
    TokenizerError,
)
from tests.support.checkpoints import truncate
from tests.support.cli import run

FILES = ("tokenizer.json", "tokenizer_config.json")


def test_beside_the_weights(checkpoint: Path) -> None:
    """The checkpoint's own tokenizer_config.json stays, unless it is to be replaced."""
    config = checkpoint / FILES[1]
    config.write_text('{"tokenizer_class": "ChatGLMTokenizer"}')
    before = sorted(checkpoint.iterdir())
    with pytest.raises(OutputExistsError, match=FILES[1]):
        export_tokenizer(checkpoint)
    assert sorted(checkpoint.iterdir()) == before
    summary = export_tokenizer(checkpoint, overwrite=True)
    assert summary.paths == tuple(checkpoint / name for name in FILES)
    assert json.loads(config.read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_a_file_of_a_hub_is_not_written_through_its_link(checkpoint: Path, tmp_path: Path) -> None:
    """A snapshot's files are links to files that other programs share."""
    config, blob = checkpoint / FILES[1], tmp_path / "blob"
    blob.write_text("{}")
    config.unlink(missing_ok=True)
    config.symlink_to(blob)
    with pytest.raises(OutputError, match=r"it is a link to .*blob"):
        export_tokenizer(checkpoint, overwrite=True)
    assert blob.read_text() == "{}"


@pytest.mark.parametrize("name", FILES)
def test_outputs_that_cannot_be_written(small_checkpoint: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=f"{name}: it is a folder"):
        export_tokenizer(small_checkpoint, tmp_path, overwrite=True)
    with pytest.raises(OutputError, match=r"check the folder"):
        export_tokenizer(small_checkpoint, small_checkpoint / "config.json")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(os.name == "nt", reason="pipes have no place in a folder there")
def test_pipes(checkpoint: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILES[0])
    with pytest.raises(OutputError, match="it is a pipe, not a file"):
        export_tokenizer(checkpoint, tmp_path, overwrite=True)


def test_what_a_killed_run_left_is_replaced(small_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / ".tokenizer.json.part").write_text("x" * 1_000_000)
    export_tokenizer(small_checkpoint, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == list(FILES)
    json.loads((tmp_path / FILES[0]).read_text("utf-8"))


def test_checkpoints_that_cannot_be_exported(checkpoint: Path, tmp_path: Path) -> None:
    truncate(checkpoint / "tokenizer.model")
    with pytest.raises(TokenizerError, match="not a SentencePiece model"):
        export_tokenizer(checkpoint, tmp_path / "out")
    (checkpoint / "tokenizer.model").unlink()
    with pytest.raises(NotACheckpointError, match=r"tokenizer\.model is missing"):
        export_tokenizer(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command(small_checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    result = run("export-tokenizer", str(small_checkpoint), "-o", str(folder))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{folder / FILES[0]}, {folder / FILES[1]}: ")
    result = run("export-tokenizer", str(small_checkpoint), "-o", str(folder))
    assert result.returncode == 6
    assert result.stderr == (
        f"error: cannot write {folder / FILES[0]}: it already exists; "
        "choose another name or pass --overwrite\n"
    )
