"""The command: what it prints, what it writes, what it ends with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from glm3edge.commands.app import app
from glm3edge.commands.verify.limits import FILE_KV_TYPES
from glm3edge.config.kv_types import KV_TYPES
from glm3edge_convert.synth.random_checkpoint import SHAPES, make_checkpoint
from tests.support.cli import HANG_SECONDS
from tests.support.demo import Demo
from tests.support.gguf_files import SPACE_PREFIX, fill_tensor, set_bool, set_uint32, truncate

pytestmark = pytest.mark.slow

MOSTLY_Q4_1 = 3  # llama.cpp's number of a type that this converter does not make


def verify(*arguments: str | Path) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, ["verify", "--threads", "1", "--windows", "1", *words])


def error(result: Result) -> str:
    """The one line of an error."""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in result.stderr
    return line


def test_a_table(demo: Demo, demo_checkpoint: Path) -> None:
    result = verify(demo("f32"), demo("q8_0"), "--against", demo_checkpoint)
    assert result.exit_code == 0, result.stderr
    assert "5,312 tokens of the vocabulary and the ids of" in result.stdout
    assert [line.split(" | ")[0] for line in result.stdout.splitlines()[-2:]] == ["| f32", "| q8_0"]
    assert "glm3-tiny: 1 window" in result.stderr


def test_json(demo: Demo) -> None:
    result = verify(demo("q8_0"), "--against", demo("f16"), "--json")
    assert result.exit_code == 0, result.stderr
    (file,) = json.loads(result.stdout)["files"]
    assert file["type"] == "q8_0"
    assert file["is_within_limit"] is True


def test_types_of_keys_and_values(demo: Demo, tmp_path: Path) -> None:
    types = ("q8_0", "q4_0", "q8_0")
    options = [word for name in types for word in ("--kv-type", name)]
    result = verify(demo("f16"), "--against", demo("f16"), *options, "--json", "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    lines = (tmp_path / "table.md").read_text("utf-8").splitlines()
    rows = [line.split(" | ")[:2] for line in lines[-2:]]
    assert rows == [["| f16", "q8_0"], ["| f16", "q4_0"]]
    eight, four = json.loads(result.stdout)["files"]
    assert (eight["kv_type"], four["kv_type"]) == ("q8_0", "q4_0")
    assert 0 < 10 * eight["mean_kl"]["value"] < four["mean_kl"]["value"]


def test_keys_and_values_beyond_the_limit(demo: Demo) -> None:
    options = ("--kv-type", "q4_0", "--max-kl", "0.01")
    result = verify(demo("f16"), "--against", demo("f16"), *options)
    assert result.exit_code == 10
    assert error(result).endswith(
        "0.01 is the limit of its type with keys and values in q4_0: compare it with them in f32"
    )


def test_all_types_of_keys_and_values_can_be_asked_for(demo: Demo) -> None:
    assert list(FILE_KV_TYPES) == ["f32", *KV_TYPES]
    result = verify(demo("f16"), "--against", demo("f16"), "--kv-type", "q5_1")
    assert (result.exit_code, "'q5_1' is not one of" in result.stderr) == (2, True)


def test_a_folder(demo: Demo, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    result = verify(demo("q8_0"), "--against", demo("f16"), "--out", out)
    assert result.exit_code == 0, result.stderr
    assert (out / "table.md").read_text("utf-8") == result.stdout
    assert json.loads((out / "results.json").read_text("utf-8"))["num_windows"] == 1
    assert "<svg" in (out / "plot.svg").read_text("utf-8")


@pytest.mark.parametrize("name", ["results.json", "table.md", "plot.svg"])
@pytest.mark.parametrize("way", ["itself", "hard link", "link"])
def test_an_input_where_a_result_goes(demo: Demo, tmp_path: Path, name: str, way: str) -> None:
    """The table was written over the text, once all was computed."""
    path = tmp_path / name
    text = path if way == "itself" else tmp_path / "text"
    text.write_text("kept", "utf-8")
    if way == "link":
        path.symlink_to(text)
    elif way == "hard link":
        path.hardlink_to(text)
    result = verify(demo("q8_0"), "--against", demo("f16"), "--text", text, "--out", tmp_path)
    assert result.exit_code == 2
    assert (
        f"--out {path}: it is {'a link to' if way == 'link' else 'one of the inputs'}"
        in result.stderr
    )
    assert text.read_text("utf-8") == "kept"


def test_a_text_of_ones_own(demo: Demo, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("你好，世界。Hello, world! " * 40, "utf-8")
    result = verify(demo("q8_0"), "--against", demo("f16"), "--text", text, "--window", "64")
    assert result.exit_code == 0, result.stderr
    assert " in 1 window of 64 " in result.stdout


def test_too_far_is_said_after_the_table(demo: Demo) -> None:
    result = verify(demo("q4_0"), "--against", demo("f16"), "--max-kl", "0.01")
    assert result.exit_code == 10
    assert "| q4_0 |" in result.stdout
    assert error(result).endswith(
        "0.01 is the limit of its type: convert it again, from this original"
    )


def test_each_file_that_is_too_far_gets_its_line(demo: Demo) -> None:
    files = [demo("q4_0"), demo("f16"), demo("q4_k_m")]
    result = verify(*files, "--against", demo("f16"), "--max-kl", "0.01")
    assert result.exit_code == 10
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert [str(path) in line for path, line in zip(files[::2], errors, strict=True)] == [True] * 2


def test_other_weights(tiny_gguf: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = tiny_checkpoint / "tokenizer.model"
    make_checkpoint(tmp_path / "other", shape=SHAPES["tiny"], tokenizer=tokenizer, seed=1)
    result = verify(tiny_gguf, "--against", tmp_path / "other")
    assert result.exit_code == 10
    assert "nats per token from the original's" in error(result)


def test_no_limit_is_known(demo: Demo, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    set_uint32(demo("q4_0"), other, "general.file_type", MOSTLY_Q4_1)
    result = verify(other, "--against", demo("f16"))
    assert result.exit_code == 0
    assert f"{other}: no limit is known for q4_1; --max-kl sets one" in result.stderr
    assert verify(other, "--against", demo("f16"), "--max-kl", "0.001").exit_code == 10


def test_other_ids(demo: Demo, demo_checkpoint: Path, tmp_path: Path) -> None:
    set_bool(demo("q8_0"), tmp_path / "other.gguf", SPACE_PREFIX, False)
    result = verify(tmp_path / "other.gguf", "--against", demo_checkpoint)
    assert result.exit_code == 9
    assert "other token ids than the original" in error(result)
    assert result.stdout == ""


def test_another_model(demo: Demo, tiny_checkpoint: Path) -> None:
    result = verify(demo("q8_0"), "--against", tiny_checkpoint)
    assert result.exit_code == 9
    assert error(result).endswith("the original has 4: it comes from another model")


def test_damaged_files(demo: Demo, tmp_path: Path) -> None:
    truncate(demo("q8_0"), tmp_path / "cut.gguf", 1000)
    fill_tensor(demo("f32"), tmp_path / "nan.gguf", "blk.2.ffn_down.weight", 255)
    for name, message in (("cut.gguf", "cannot load"), ("nan.gguf", "are not finite")):
        result = verify(tmp_path / name, "--against", demo("f16"))
        assert result.exit_code == 8
        assert message in error(result)
        assert name in error(result)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "is empty"), ("short", "tokens and a window takes 510: give a longer --text")],
)
def test_texts_that_do_not_do(demo: Demo, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "text.txt").write_text(content)
    result = verify(demo("q8_0"), "--against", demo("f16"), "--text", tmp_path / "text.txt")
    assert result.exit_code == 2
    assert message in error(result)


def test_originals_that_do_not_do(demo: Demo, tmp_path: Path) -> None:
    result = verify(demo("q8_0"), "--against", tmp_path / "none")
    assert (result.exit_code, "no model of that name was pulled" in error(result)) == (2, True)
    result = verify(demo("q8_0"), "--against", tmp_path)
    assert (result.exit_code, "config.json is missing" in error(result)) == (3, True)
    (tmp_path / "text.gguf").write_text("hello")
    result = verify(demo("q8_0"), "--against", tmp_path / "text.gguf")
    assert (result.exit_code, "it is not a GGUF file" in error(result)) == (8, True)


def test_a_folder_that_cannot_be_written(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = verify(demo("q8_0"), "--against", demo("f16"), "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert f"--out {tmp_path / 'file'}: " in error(result)


def test_as_a_process(demo: Demo, tmp_path: Path) -> None:
    """Nothing but JSON on stdout, and no bar where there is no terminal."""
    command = [sys.executable, "-m", "glm3edge", "verify", str(demo("q8_0"))]
    command += ["--against", str(demo("f16")), "--windows", "1", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"][0]["type"] == "q8_0"
    names = [demo("f16").name, demo("q8_0").name]
    assert done.stderr.splitlines() == [f"{name}: 1 window" for name in names]
