"""The command, and what its file is good for."""

from pathlib import Path

import pytest

from glm3edge.llama.model import Model
from glm3edge_convert.quantize.imatrix import read_imatrix
from tests.support.cli import run

pytestmark = pytest.mark.slow

TEXT = "你好，世界！今天的天气怎么样？ The quick brown fox jumps over the lazy dog.\n" * 40


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, "utf-8")
    return path


def test_from_a_checkpoint_to_a_coarse_file(
    tiny_checkpoint: Path, text: Path, tmp_path: Path
) -> None:
    output, cache = tmp_path / "imatrix.gguf", str(tmp_path / "cache")
    options = ["-o", str(output), "--text", str(text), "--chunk-size", "64", "--chunks", "5"]
    result = run("imatrix", str(tiny_checkpoint), *options, GLM3EDGE_CACHE_DIR=cache)
    assert result.returncode == 0, result.stderr
    assert "from 5 x 64 tokens" in result.stdout
    found = read_imatrix(output)
    assert (found.num_chunks, found.datasets) == (5, ("text.txt",))
    small = tmp_path / "small.gguf"
    result = run(
        *("convert", str(tiny_checkpoint), "-o", str(small)),
        *("--type", "iq2_m", "--imatrix", str(output)),
    )
    assert result.returncode == 0, result.stderr
    with Model(small) as model:
        assert model.metadata("quantize.imatrix.file") == "imatrix.gguf"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "absent.txt"], "error: --text absent.txt: No such file"),
        (["--text", "{folder}/bytes"], "is not UTF-8"),
        (["--text", "{folder}/short"], "give more text"),
        (["--text", "{folder}/text.txt", "-o", "{folder}/text.txt"], "it is one of the inputs"),
        (["--text", "{folder}/text.txt", "-o", "{folder}/linked.txt"], "it is one of the inputs"),
    ],
)
def test_problems(
    tiny_gguf: Path, text: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "short").write_text("短")
    (tmp_path / "linked.txt").hardlink_to(text)
    given = [option.format(folder=tmp_path) for option in options]
    result = run("imatrix", str(tiny_gguf), "-o", str(tmp_path / "out.gguf"), *given, "--overwrite")
    assert result.returncode != 0
    assert message in result.stderr
    assert text.read_text("utf-8") == TEXT
    assert not (tmp_path / "out.gguf").exists()


def test_the_own_text_is_the_default(tiny_gguf: Path, tmp_path: Path) -> None:
    output = tmp_path / "imatrix.gguf"
    result = run("imatrix", str(tiny_gguf), "-o", str(output), "--chunks", "1")
    assert result.returncode == 0, result.stderr
    assert read_imatrix(output).datasets == ("calibration.txt",)
