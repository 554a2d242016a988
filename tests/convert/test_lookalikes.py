"""What was given in place of the right folder gets the word that helps."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from glm3edge_convert import convert, convert_lora, convert_prefix
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.errors import (
    ConvertError,
    NotACheckpointError,
    NotAnAdapterError,
    NotAPrefixError,
)
from glm3edge_convert.synth.random_checkpoint import make_checkpoint
from tests.support.checkpoints import FIRST_SHARD, SMALL
from tests.support.lora_adapters import layer_modules, make_adapter
from tests.support.prefixes import make_prefix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    make_checkpoint(folder / "model", shape=SMALL)
    make_adapter(folder / "lora", folder / "model", layer_modules(SMALL.num_layers))
    make_prefix(folder / "prefix", folder / "model")
    for kind in ("model", "lora", "prefix"):
        for step in (90, 1000, 500):
            shutil.copytree(folder / kind, folder / f"{kind}s" / f"checkpoint-{step}")
        (folder / f"{kind}s" / "checkpoint-last").mkdir()
    (folder / "a.gguf").write_bytes(b"GGUF")
    return folder


def as_model(path: Path, output: Path) -> None:
    convert(path, output, quant_type="f16")


def as_lora(path: Path, output: Path) -> None:
    convert_lora(path, output)


def as_merged_lora(path: Path, output: Path) -> None:
    convert(path.parent / "model", output, quant_type="f16", adapters=[ScaledPath(path)])


def as_prefix(path: Path, output: Path) -> None:
    convert_prefix(path, output)


CASES: list[tuple[Callable[[Path, Path], None], str, type[ConvertError], str]] = [
    (as_model, "lora", NotACheckpointError, "it is an adapter, not a model; .* serve --lora"),
    (
        as_model,
        "models",
        NotACheckpointError,
        "give one of them, such as .*models/checkpoint-1000$",
    ),
    (
        as_model,
        f"model/{FIRST_SHARD}",
        NotACheckpointError,
        "it is a file; give its folder, .*model$",
    ),
    (as_model, "a.gguf", NotACheckpointError, "converted already; give it to glm3edge serve"),
    (as_model, "loras", NotACheckpointError, r"config\.json is missing; give the folder with"),
    (as_model, "none", NotACheckpointError, "the folder does not exist"),
    (as_lora, "model", NotAnAdapterError, "it is a model, or a P-Tuning v2 prefix"),
    (as_lora, "prefix", NotAnAdapterError, "glm3edge convert-prefix the other"),
    (as_lora, "loras", NotAnAdapterError, "such as .*loras/checkpoint-1000$"),
    (as_lora, "lora/adapter_config.json", NotAnAdapterError, "give its folder, .*lora$"),
    (as_lora, "models", NotAnAdapterError, r"adapter_config\.json is missing"),
    (as_merged_lora, "model", NotAnAdapterError, "it is a model, or a P-Tuning v2 prefix"),
    (as_merged_lora, "loras", NotAnAdapterError, "such as .*loras/checkpoint-1000$"),
    (as_prefix, "lora", NotACheckpointError, "it is an adapter, not a model"),
    (as_prefix, "prefixs", NotACheckpointError, "such as .*prefixs/checkpoint-1000$"),
    (as_prefix, "model", NotAPrefixError, "holds no P-Tuning v2 prefix"),
]


@pytest.mark.parametrize(("run", "name", "error", "reason"), CASES)
def test_the_word_that_helps(
    folder: Path,
    tmp_path: Path,
    *,
    run: Callable[[Path, Path], None],
    name: str,
    error: type[ConvertError],
    reason: str,
) -> None:
    with pytest.raises(error, match=reason) as caught:
        run(folder / name, tmp_path / "out.gguf")
    assert caught.value.exit_code == 3
    assert not list(tmp_path.iterdir())
