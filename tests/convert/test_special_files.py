"""Pipes where files belong, in a checkpoint and at the output: an error, and nobody waits."""

import os
import shutil
from pathlib import Path

import pytest

from glm3edge_convert import ConvertError, convert
from glm3edge_convert.errors import OutputError
from glm3edge_convert.quantize.imatrix import read_imatrix
from glm3edge_convert.synth.random_checkpoint import make_checkpoint
from tests.support.checkpoints import FIRST_SHARD, INDEX, SMALL
from tests.support.encoders import make_bert

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="pipes have no place in a folder there"),
]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    make_checkpoint(folder / "chat", shape=SMALL)
    make_bert(folder / "bert")
    return folder


@pytest.mark.parametrize(
    ("model", "name"),
    [
        *(("chat", name) for name in ("config.json", "tokenizer.model", INDEX, FIRST_SHARD)),
        *(("bert", name) for name in ("config.json", "vocab.txt", "model.safetensors")),
    ],
)
@pytest.mark.parametrize("is_link", [False, True])
def test_inputs(checkpoints: Path, tmp_path: Path, *, model: str, name: str, is_link: bool) -> None:
    folder = tmp_path / model
    shutil.copytree(checkpoints / model, folder)
    path = folder / name
    path.unlink()
    os.mkfifo(tmp_path / "pipe" if is_link else path)
    if is_link:
        path.symlink_to(tmp_path / "pipe")
    with pytest.raises(ConvertError, match=f"{name}|no index|vocab"):
        convert(folder, tmp_path / "a.gguf", quant_type="f16")


def test_an_importance_matrix(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConvertError, match="it is a pipe, not a file"):
        read_imatrix(tmp_path / "pipe")


@pytest.mark.parametrize("overwrite", [False, True])
def test_outputs(checkpoints: Path, tmp_path: Path, overwrite: bool) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    for path, kind in ((tmp_path / "pipe.gguf", "pipe"), (Path(os.devnull), "device")):
        with pytest.raises(OutputError, match=f"it is a {kind}, not a file"):
            convert(checkpoints / "chat", path, quant_type="f16", overwrite=overwrite)
    assert (tmp_path / "pipe.gguf").is_fifo()


def test_temporary_files(checkpoints: Path, tmp_path: Path) -> None:
    """One that stands in the way is refused or replaced, never written to."""
    os.mkfifo(tmp_path / ".a.gguf.part")
    with pytest.raises(OutputError, match="it is a pipe, not a file"):
        convert(checkpoints / "chat", tmp_path / "a.gguf", quant_type="f16")
    os.mkfifo(tmp_path / ".b.gguf.part.json")
    os.mkfifo(tmp_path / ".b.gguf.part.json.new")
    convert(checkpoints / "chat", tmp_path / "b.gguf", quant_type="f16")
    assert (tmp_path / "b.gguf").is_file()
