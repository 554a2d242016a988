"""The command: one line and one exit code for everything that can go wrong."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from glm3edge_convert import errors
from tests.support.checkpoints import (
    FIRST_SHARD,
    LAST_SHARD,
    edit_json,
    edit_shard,
    remove_tensor,
    set_value,
    truncate,
)
from tests.support.converter import run_convert, run_module

pytestmark = pytest.mark.slow

NORM = "transformer.encoder.final_layernorm.weight"
OUTPUT = "transformer.output_layer.weight"


def _make_ambiguous(folder: Path) -> None:
    edit_json(folder / "config.json", seq_length=32768)


def _make_glm4(folder: Path) -> None:
    (folder / "tokenizer.model").write_bytes(b"IQ== 0\nIg== 1\nIw== 2\n")


def _add_tensor(folder: Path) -> None:
    edit_shard(folder, LAST_SHARD, lambda tensors: tensors.update(extra=tensors[NORM]))
    index = folder / "model.safetensors.index.json"
    text = index.read_text().replace('"weight_map": {', f'"weight_map": {{"extra": "{LAST_SHARD}",')
    index.write_text(text)


def _cut_tensor(folder: Path) -> None:
    edit_shard(
        folder, LAST_SHARD, lambda tensors: tensors.update({NORM: tensors[NORM][:-1].copy()})
    )


def _put_nan(folder: Path) -> None:
    edit_shard(folder, LAST_SHARD, lambda tensors: set_value(tensors, OUTPUT, float("nan")))


def _remove_weights(folder: Path) -> None:
    for path in folder.glob("model*"):
        path.unlink()


def _remove_all(folder: Path) -> None:
    shutil.rmtree(folder)


BAD_CHECKPOINTS: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "no folder": (_remove_all, 3, "the folder does not exist"),
    "no config": (lambda p: (p / "config.json").unlink(), 3, "config.json is missing"),
    "no tokenizer": (lambda p: (p / "tokenizer.model").unlink(), 3, "tokenizer.model is missing"),
    "no weights": (_remove_weights, 3, "it has no model"),
    "ChatGLM2 or 3": (_make_ambiguous, 4, "ChatGLM3 or ChatGLM2? It has 32768 positions"),
    "quantized": (
        lambda p: edit_json(p / "config.json", quantization_bit=4),
        4,
        "is quantized with ChatGLM's own quantize(4)",
    ),
    "GLM-4": (_make_glm4, 4, "holds GLM-4, not ChatGLM3"),
    "truncated shard": (lambda p: truncate(p / FIRST_SHARD), 5, f"{FIRST_SHARD}: is truncated"),
    "missing tensor": (
        lambda p: remove_tensor(p, LAST_SHARD, NORM),
        5,
        f"tensor {NORM} is missing",
    ),
    "extra tensor": (_add_tensor, 5, "unexpected tensor extra"),
    "misshaped tensor": (_cut_tensor, 5, f"{NORM} has shape 63 where config.json asks for 64"),
    "not a number": (_put_nan, 5, f"{OUTPUT} has values that are not finite"),
    "bad config": (
        lambda p: edit_json(p / "config.json", num_layers="two"),
        5,
        "num_layers is 'two'",
    ),
    "damaged tokenizer": (lambda p: truncate(p / "tokenizer.model"), 5, "not a SentencePiece"),
}


@pytest.mark.parametrize("case", BAD_CHECKPOINTS)
def test_bad_checkpoints(case: str, checkpoint: Path, tmp_path: Path) -> None:
    damage, code, message = BAD_CHECKPOINTS[case]
    damage(checkpoint)
    result = run_convert(checkpoint, "-o", tmp_path / "out.gguf", "--type", "q8_0")
    error = result.stderr.splitlines()[-1]
    assert result.returncode == code, result.stderr
    assert error.startswith("error: ")
    assert message in error
    progress = result.stderr.splitlines()[:-1]
    assert all("tensors" in line for line in progress)
    assert not list(tmp_path.glob("*.gguf*"))
    assert not list(tmp_path.glob(".*"))


def test_success(small_checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    result = run_convert(small_checkpoint, "-o", output, "--type", "Q4_0", "--threads", "1")
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "100% 17 of 17 tensors"
    assert result.stdout.startswith(f"{output}: ")
    assert "MiB in" in result.stdout
    assert output.read_bytes()[:4] == b"GGUF"


def test_existing_output(small_checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    output.write_text("kept")
    result = run_convert(small_checkpoint, "-o", output)
    assert result.returncode == 6
    assert result.stderr == (
        f"error: cannot write {output}: it already exists; "
        "choose another name or pass --overwrite\n"
    )
    assert output.read_text() == "kept"
    assert run_convert(small_checkpoint, "-o", output, "--overwrite").returncode == 0
    assert output.read_bytes()[:4] == b"GGUF"


@pytest.mark.skipif(os.name != "posix", reason="file size limits are a POSIX notion")
def test_a_write_that_fails_midway(small_checkpoint: Path, tmp_path: Path) -> None:
    """A limit on file sizes makes a real write fail, as a full disk does."""
    prelude = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    )
    result = run_convert(
        small_checkpoint, "-o", tmp_path / "out.gguf", "-t", "f16", prelude=prelude
    )
    assert result.returncode == 6, result.stderr
    assert "are not allowed there" in result.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_disk_full(small_checkpoint: Path, tmp_path: Path) -> None:
    prelude = (
        "import shutil\n"
        "usage = shutil.disk_usage('.')._replace(free=1000)\n"
        "shutil.disk_usage = lambda path: usage"
    )
    result = run_convert(small_checkpoint, "-o", tmp_path / "out.gguf", prelude=prelude)
    assert result.returncode == 6, result.stderr
    assert result.stderr.startswith("error: cannot write")
    assert "MiB are needed and 0 MiB are free" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments", [["--type", "q1_k"], ["--threads", "0"], ["--no-such-option"]]
)
def test_usage(arguments: list[str], small_checkpoint: Path, tmp_path: Path) -> None:
    result = run_convert(small_checkpoint, "-o", tmp_path / "out.gguf", *arguments)
    assert result.returncode == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="SIGINT to oneself is a POSIX notion")
def test_interruption(small_checkpoint: Path, tmp_path: Path) -> None:
    prelude = (
        "import os, signal\n"
        "from glm3edge_convert.gguf import writer\n"
        "class Interrupted(writer.TensorStream):\n"
        "    def write(self, name, slabs):\n"
        f"        os.kill(os.getpid(), {int(signal.SIGINT)})\n"
        "        super().write(name, slabs)\n"
        "writer.TensorStream = Interrupted"
    )
    result = run_convert(small_checkpoint, "-o", tmp_path / "out.gguf", prelude=prelude)
    assert result.returncode == 130
    assert result.stderr == "error: interrupted; nothing was written\n"
    assert not list(tmp_path.iterdir())


def test_every_error_has_a_code() -> None:
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.ConvertError)
    ]
    assert len(classes) > 20
    for cls in classes:
        assert (cls.exit_code == 1) == (cls is errors.ConvertError)


def test_help_lists_the_exit_codes() -> None:
    result = run_convert("--help")
    text = " ".join(result.stdout.split())
    for code in (*range(2, 8), 130):
        assert f"{code} " in text


def test_synth(tmp_path: Path) -> None:
    out = tmp_path / "tiny"
    result = run_module("glm3edge_convert.synth", "--out", out, "--shape", "tiny")
    assert result.returncode == 0, result.stderr
    assert run_convert(out, "-o", tmp_path / "tiny.gguf").returncode == 0
    again = run_module("glm3edge_convert.synth", "--out", out, "--shape", "tiny")
    assert again.returncode == 6
    assert again.stderr.startswith(f"error: cannot write {out}: it exists")
    assert run_module("glm3edge_convert.synth", "--out", out, "--shape", "7b").returncode == 2
