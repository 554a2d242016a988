"""What a newcomer meets: a line at once, and for what goes wrong one that says what to do."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glm3edge.commands.app import app
from glm3edge.commands.registry import COMMANDS
from glm3edge_convert import convert
from tests.support.cli import HANG_SECONDS, run
from tests.support.encoders import make_bert, make_reranker
from tests.support.optional import missing
from tests.support.servers import start_server, stop_server
from tests.support.small_disk import on_small_disk

pytestmark = pytest.mark.slow

PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
PERMISSIONS_COUNT = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""Has the superuser, who may read everything, obey permissions as others do."""


def serve(*arguments: str, wrapper: list[str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*(wrapper or []), sys.executable, "-m", "glm3edge", "serve", "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def the_error(result: "subprocess.CompletedProcess[str]") -> str:
    """The one line on standard error, besides progress."""
    assert result.returncode not in {0, 130}, result.stdout
    lines = [line for line in result.stderr.splitlines() if not re.match(r"\d+% ", line)]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def test_the_first_line_comes_before_what_takes_long(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "glm3edge", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--cache-dir", str(tmp_path), "--type", "no-such-type"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, _ = process.communicate(timeout=HANG_SECONDS)
    before, line, after = output.partition("start    glm3edge ")
    assert line
    assert after.splitlines()[0].endswith(": the built-in demo model")
    heavy = ("numpy", "glm3edge.config.settings", "llama_cpp", "fastapi", "rich", "gguf")
    for module in heavy:
        assert not re.search(rf"\| +{module}\n", before), module
    assert "glm3edge.config.settings" in after


def test_what_is_about_to_happen_is_told(tiny_checkpoint: Path, tmp_path: Path) -> None:
    options = ("--cache-dir", str(tmp_path), "--type", "q8_0")
    for is_first in (True, False):
        server = start_server(str(tiny_checkpoint), *options)
        assert stop_server(server) == 0
        labels = [line.split()[0] for line in server.banner.splitlines() if line[:1].isalpha()]
        told = ["start", "convert", "load"] if is_first else ["start", "load"]
        assert labels[: len(told)] == told
        assert labels[len(told) : len(told) + 2] == ["Open", "model"]
    assert re.search(r"load +\S+tiny-q8_0-\w+\.gguf, [\d.]+ MiB\n", server.banner)


def cut(path: Path, gguf: Path, _checkpoint: Path) -> Path:
    path.write_bytes(gguf.read_bytes()[: gguf.stat().st_size // 2])
    return path


def cut_in_header(path: Path, gguf: Path, _checkpoint: Path) -> Path:
    path.write_bytes(gguf.read_bytes()[:2000])
    return path


def file_of(data: bytes) -> Callable[[Path, Path, Path], Path]:
    def make(path: Path, _gguf: Path, _checkpoint: Path) -> Path:
        path.write_bytes(data)
        return path

    return make


def with_file(pattern: str, data: bytes) -> Callable[[Path, Path, Path], Path]:
    def make(path: Path, _gguf: Path, checkpoint: Path) -> Path:
        folder = path.with_suffix("")
        shutil.copytree(checkpoint, folder)
        for file in folder.glob(pattern):
            file.write_bytes(data)
        return folder

    return make


def empty_folder(path: Path, _gguf: Path, _checkpoint: Path) -> Path:
    path.mkdir()
    return path


def bert_folder(path: Path, _gguf: Path, _checkpoint: Path) -> Path:
    make_bert(path.with_suffix(""))
    return path.with_suffix("")


def bert_file(path: Path, _gguf: Path, _checkpoint: Path) -> Path:
    make_bert(path.with_suffix(""))
    convert(path.with_suffix(""), path)
    return path


def reranker_folder(path: Path, _gguf: Path, _checkpoint: Path) -> Path:
    make_reranker(path.with_suffix(""))
    return path.with_suffix("")


def reranker_file(path: Path, _gguf: Path, _checkpoint: Path) -> Path:
    make_reranker(path.with_suffix(""))
    convert(path.with_suffix(""), path)
    return path


Maker = Callable[[Path, Path, Path], Path]

UNREADABLE: dict[str, tuple[Maker, int, str]] = {
    "cut off": (cut, 8, r"it is cut off: \d.\d of \d.\d MiB are there; convert or download"),
    "cut off in its header": (cut_in_header, 8, "it is damaged or cut off; convert or download it"),
    "empty": (file_of(b""), 8, "it is empty; download it again"),
    "a page": (file_of(PAGE), 8, "it is a web page, saved under this name; download the file"),
    "a pointer": (file_of(POINTER), 8, "it is a Git LFS pointer, .* run `git lfs pull`"),
    "no model": (file_of(b"hello"), 8, "it is not a GGUF file; give one, or a checkpoint folder"),
    "no config": (empty_folder, 3, r"config.json is missing; give the folder with config.json, "),
    "pointers": (with_file("*.safetensors", POINTER), 5, r"safetensors: is a Git LFS pointer, "),
    "no tokenizer": (with_file("tokenizer.model", POINTER), 5, r"\.model: is a Git LFS pointer, "),
    "config a page": (with_file("config.json", PAGE), 5, r"config.json: is a web page, saved"),
    "an encoder": (bert_folder, 2, r"is a model for embeddings, .* MODEL --embedding-model /\S+$"),
    "a reranker": (reranker_folder, 2, r"is a reranker, .* MODEL --rerank-model /\S+$"),
    "a reranker's file": (reranker_file, 8, r"is a reranker; .*: --rerank-model$"),
    "an encoder's file": (bert_file, 8, r"is a model for embeddings; .*: --embedding-model$"),
}


def serve_here(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code and the one line of an error, with no process for each."""
    with pytest.raises(SystemExit) as ended:
        app(["serve", "--port", "0", *arguments])
    assert isinstance(ended.value.code, int)
    (line,) = capfd.readouterr().err.splitlines()
    return ended.value.code, line


@pytest.mark.parametrize("name", UNREADABLE)
def test_models_that_are_none(
    name: str,
    tiny_gguf: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    make, expected_code, message = UNREADABLE[name]
    path = make(tmp_path / "model.gguf", tiny_gguf, tiny_checkpoint)
    code, line = serve_here(capfd, str(path), "--cache-dir", str(tmp_path / "cache"))
    assert re.fullmatch(f"error: .*{message}.*", line)
    assert code == expected_code


def test_a_chat_model_does_not_embed(
    tiny_checkpoint: Path, tiny_gguf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, line = serve_here(capfd, str(tiny_gguf), "--embedding-model", str(tiny_checkpoint))
    assert "that is not an encoder (BERT, XLM-RoBERTa); leave the option out" in line
    assert code == 2


@pytest.fixture
def obeying() -> list[str]:
    """What a command is to be run with for permissions to count."""
    if not hasattr(os, "geteuid"):
        missing("this system has no permissions as POSIX has them")
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        missing("the superuser may read everything, and there is no setpriv")
    return PERMISSIONS_COUNT


def test_what_may_not_be_read(
    obeying: list[str], tiny_gguf: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    file, folder = tmp_path / "model.gguf", tmp_path / "model"
    shutil.copy(tiny_gguf, file)
    shutil.copytree(tiny_checkpoint, folder)
    options = ("--cache-dir", str(tmp_path / "cache"))
    file.chmod(0)
    error = the_error(serve(str(file), *options, wrapper=obeying))
    assert error == f"error: cannot load {file}: Permission denied; check its permissions"
    folder.chmod(0)
    error = the_error(serve(str(folder), *options, wrapper=obeying))
    folder.chmod(0o700)
    assert error == f"error: {folder}/config.json: Permission denied; check its permissions"
    (folder / "tokenizer.model").chmod(0)
    error = the_error(serve(str(folder), *options, wrapper=obeying))
    assert "tokenizer.model: cannot be read (Permission denied); check its permissions" in error


def test_a_cache_folder_that_cannot_be_written(obeying: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    error = the_error(serve("--cache-dir", str(folder), wrapper=obeying))
    assert f"the cache folder {folder}/converted cannot be written: Permission denied; " in error
    assert error.endswith("give another with --cache-dir or GLM3EDGE_CACHE_DIR")


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    wrapper = on_small_disk(tmp_path)
    error = the_error(serve("--cache-dir", str(tmp_path / "cache"), wrapper=wrapper))
    assert error.endswith(
        "8 MiB are needed and 4 MiB are free; free some space or choose another disk"
    )


def test_memory_that_does_not_suffice(tmp_path: Path) -> None:
    limited = ["sh", "-c", 'ulimit -v 2500000 && exec "$@"', "sh"]
    options = ("--cache-dir", str(tmp_path), "--ctx-size", "1500000")
    error = the_error(serve(*options, wrapper=limited))
    assert "cannot make a context of 1500000 tokens: " in error
    assert error.endswith("; try a smaller one")


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--ctx-size", "-5"], {}, "--ctx-size -5: Input should be greater than or equal to 0"),
        ([], {"GLM3EDGE_CTX_SIZE": "many"}, "GLM3EDGE_CTX_SIZE=many: Input should be a valid int"),
    ],
)
def test_a_wrong_context_size(
    arguments: list[str], environment: dict[str, str], message: str
) -> None:
    assert message in the_error(run("serve", *arguments, **environment))


def lines_of(text: str) -> Iterator[dict[str, str]]:
    for line in text.splitlines():
        value = json.loads(line)
        assert value.keys() - {"exception"} == {"time", "level", "logger", "message"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value["time"])
        yield value


def test_json_logs(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "glm3edge", "serve", "--port", "0", "--cache-dir", str(tmp_path)],
        env={**os.environ, "GLM3EDGE_JSON_LOGS": "1", "GLM3EDGE_LOG_LEVEL": "info"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    seen: list[str] = []
    for line in process.stderr:
        seen.append(line)
        if "ready: " in line:
            break
    process.terminate()
    stdout, rest = process.communicate(timeout=HANG_SECONDS)
    assert (process.returncode, stdout) == (0, "")
    values = list(lines_of("".join(seen) + rest))
    messages = [value["message"] for value in values]
    for begin in ("start: glm3edge", "convert: ", "done: 100% 45", "load: ", "ready: glm3-tiny on"):
        assert any(message.startswith(begin) for message in messages), messages
    assert messages[-1] == "stopped"
    assert any(value["logger"].startswith("uvicorn") for value in values)


def test_errors_as_json(tmp_path: Path) -> None:
    result = serve(str(tmp_path), "--json-logs")
    *_, value = lines_of(result.stderr)
    assert (value["level"], result.returncode, result.stdout) == ("error", 3, "")
    assert "config.json is missing" in value["message"]


def test_a_worker_writes_json_too() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "glm3edge", "worker", "--port", "0", "--json-logs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    (ready,) = lines_of(process.stderr.readline())
    assert re.search(r"ready: \S+ on 127\.0\.0\.1:\d+", ready["message"])
    process.terminate()
    stdout, rest = process.communicate(timeout=HANG_SECONDS)
    assert (process.returncode, stdout) == (0, "")
    assert [value["message"] for value in lines_of(rest)] == ["stopped"]


def test_help_imports_no_command() -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "glm3edge", "--help"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )
    assert "glm3edge.commands.group" in result.stderr
    assert ".command\n" not in result.stderr
    assert "numpy" not in result.stderr
    for panel in ("Options", "Serve and chat", "Models on disk", "Convert", "This machine"):
        assert f"\n{panel}:\n" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_each_command_can_be_imported_and_has_its_help() -> None:
    runner = CliRunner()
    for name, entry in COMMANDS.items():
        result = runner.invoke(app, [name, "--help"])
        assert result.exit_code == 0
        assert f" {name} " in result.output
        assert len(entry.help) <= 60
    for panel in ("Arguments", "Options", "Devices", "Access", "Log"):
        assert f"\n{panel}:\n" in runner.invoke(app, ["serve", "--help"]).output


@pytest.mark.parametrize("name", ["bench", "doctor", "imatrix", "plan", "pull", "verify", "worker"])
def test_log_levels(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = {"imatrix": ["m", "-o", "x"], "pull": ["o/n"], "verify": ["m", "--against", "m"]}
    with pytest.raises(SystemExit) as ended:
        app([name, *arguments.get(name, []), "--log-level", "loud"])
    assert ended.value.code == 2
    assert capfd.readouterr().err.startswith("error: --log-level loud: choose one of debug, ")
