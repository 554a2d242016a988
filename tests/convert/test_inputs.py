"""No input is ever written over, whatever name it is given by."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from glm3edge_convert import convert, convert_lora, convert_prefix
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.errors import OutputError, OutputExistsError
from glm3edge_convert.gguf.writer import check_output
from glm3edge_convert.synth.random_checkpoint import make_checkpoint
from tests.support.checkpoints import FIRST_SHARD, SMALL
from tests.support.encoders import make_bert
from tests.support.lora_adapters import layer_modules, make_adapter
from tests.support.prefixes import make_prefix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one input of each kind; nothing may change in it."""
    folder = tmp_path_factory.mktemp("inputs")
    make_checkpoint(folder / "chat", shape=SMALL)
    make_bert(folder / "bert")
    make_adapter(folder / "lora", folder / "chat", layer_modules(SMALL.num_layers))
    make_prefix(folder / "prefix", folder / "chat")
    (folder / "imatrix").write_bytes(b"an importance matrix")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def run(command: str, folder: Path, output: Path) -> None:
    """Run a command on the inputs in ``folder``, as ``--overwrite`` does."""
    chat, lora = folder / "chat", folder / "lora"
    commands: dict[str, Callable[..., object]] = {
        "convert": partial(convert, chat, quant_type="f16"),
        "convert an encoder": partial(convert, folder / "bert"),
        "merge": partial(convert, chat, quant_type="f16", adapters=[ScaledPath(lora)]),
        "use an imatrix": partial(convert, chat, quant_type="q4_0", imatrix=folder / "imatrix"),
        "convert-lora": partial(convert_lora, lora),
        "convert-prefix": partial(convert_prefix, folder / "prefix"),
    }
    commands[command](output, overwrite=True)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("convert", f"chat/{FIRST_SHARD}"),
        ("convert", "chat/tokenizer.model"),
        ("convert", "chat/config.json"),
        ("convert an encoder", "bert/vocab.txt"),
        ("convert an encoder", "bert/1_Pooling/config.json"),
        ("merge", "lora/adapter_model.safetensors"),
        ("merge", "lora/adapter_config.json"),
        ("use an imatrix", "imatrix"),
        ("convert-lora", "lora/adapter_model.safetensors"),
        ("convert-prefix", "prefix/model.safetensors"),
    ],
)
@pytest.mark.parametrize("way", ["itself", "hard link", "linked folder", "long way"])
def test_inputs(folder: Path, tmp_path: Path, command: str, name: str, way: str) -> None:
    before, path = contents(folder), folder / name
    if way == "hard link":
        (tmp_path / "link").hardlink_to(path)
        path = tmp_path / "link"
    elif way == "linked folder":
        (tmp_path / "link").symlink_to(path.parent, target_is_directory=True)
        path = tmp_path / "link" / path.name
    elif way == "long way":
        path = path.parent / ".." / path.parent.name / path.name
    with pytest.raises(OutputError, match=r"it is one of the inputs, .*; choose another name"):
        run(command, folder, path)
    assert contents(folder) == before


def test_an_input_that_is_a_link(folder: Path, tmp_path: Path) -> None:
    """A hub's cache keeps files elsewhere, and links to them in the folder of a commit."""
    (tmp_path / "snapshot").mkdir()
    for path in (folder / "chat").iterdir():
        (tmp_path / "snapshot" / path.name).symlink_to(path)
    before, shard = contents(folder), folder / "chat" / FIRST_SHARD
    with pytest.raises(OutputError, match="one of the inputs"):
        convert(tmp_path / "snapshot", shard, quant_type="f16", overwrite=True)
    with pytest.raises(OutputError, match=f"it is a link to {shard}; choose another name"):
        convert(
            tmp_path / "snapshot",
            tmp_path / "snapshot" / FIRST_SHARD,
            quant_type="f16",
            overwrite=True,
        )
    assert contents(folder) == before


@pytest.mark.parametrize("target", ["there", "absent", "loop"])
def test_a_link_as_the_output(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").write_text("kept")
    (tmp_path / "link").symlink_to("link" if target == "loop" else target)
    with pytest.raises(OutputError, match="it is a link to"):
        check_output(tmp_path / "link", overwrite=True)
    assert str((tmp_path / "link").readlink()) == ("link" if target == "loop" else target)


def test_an_output_beside_the_inputs(folder: Path) -> None:
    """It is replaced by the next one, and by nothing else."""
    output = folder / "chat" / "made"
    convert(folder / "chat", output, quant_type="f16")
    first = output.read_bytes()
    with pytest.raises(OutputExistsError):
        convert(folder / "chat", output, quant_type="q8_0")
    convert(folder / "chat", output, quant_type="q8_0", overwrite=True)
    assert output.read_bytes() != first
    output.unlink()
