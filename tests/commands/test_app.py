"""The command as a user meets it: exit codes, one-line errors, the banner."""

import re
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from glm3edge import __version__
from tests.support.cli import HANG_SECONDS, run
from tests.support.lora_adapters import layer_modules, make_adapter
from tests.support.prefixes import make_prefix
from tests.support.servers import Server, start_server

pytestmark = pytest.mark.slow


def test_version() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"glm3edge {__version__}\n")


def test_help_names_the_commands() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert "serve" in result.stdout
    assert "convert" in result.stdout


def test_convert(tiny_checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    result = run("convert", str(tiny_checkpoint), "-o", str(output), "--type", "q8_0")
    assert result.returncode == 0, result.stderr
    assert output.stat().st_size > 1_000_000


def test_convert_lora(tiny_checkpoint: Path, tmp_path: Path) -> None:
    modules = layer_modules(4, ["self_attention.query_key_value"])
    folder = make_adapter(tmp_path / "poet", tiny_checkpoint, modules).folder
    output = tmp_path / "poet.gguf"
    result = run("convert-lora", str(folder), "-o", str(output))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{output}: 0.1 MiB, 4 modules, rank 8\n"
    assert output.read_bytes()[:4] == b"GGUF"
    (folder / "adapter_config.json").unlink()
    result = run("convert-lora", str(folder), "-o", str(output), "--overwrite")
    assert result.returncode == 3
    assert result.stderr.startswith(f"error: {folder} is not a LoRA adapter: adapter_config.json")


def test_convert_prefix(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = make_prefix(tmp_path / "poet", tiny_checkpoint, num_places=5).folder
    output = tmp_path / "poet.gguf"
    result = run("convert-prefix", str(folder), "-o", str(output))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{output}: 0.0 MiB, 5 places in 4 layers\n"
    assert output.read_bytes()[:4] == b"GGUF"
    result = run("convert-prefix", str(tiny_checkpoint), "-o", str(output), "--overwrite")
    assert result.returncode == 3
    assert result.stderr.startswith(f"error: {tiny_checkpoint} holds no P-Tuning v2 prefix: ")
    result = run("convert", str(folder), "-o", str(tmp_path / "model.gguf"))
    assert result.returncode == 4
    assert result.stderr.endswith("and this one to glm3edge serve --prefix\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--port", "70000"], 2, "--port 70000: "),
        (["--log-level", "loud"], 2, "--log-level loud"),
        (["no/such/model.gguf", "--port", "0"], 2, "there is no file or folder"),
        (["--type", "q9", "--port", "0"], 2, "q9"),
        (["--host", "203.0.113.1", "--no-auth"], 2, "cannot listen on 203.0.113.1:8000"),
        (["--host", "0.0.0.0"], 2, "--host 0.0.0.0 can be reached from other machines"),
        (["--host", "::", "--api-key", ""], 2, "--api-key: "),
        (["--allowed-hosts", "http://box"], 2, "'http://box' is not a host name"),
        (["--ctx-size", "2000000000", "--port", "0"], 8, "fits"),
    ],
)
def test_failures_are_one_line(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    result = run("serve", *arguments, GLM3EDGE_CACHE_DIR=str(tmp_path))
    assert result.returncode == code, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in result.stderr


def test_an_address_without_a_key_is_the_servers_matter_alone(tmp_path: Path) -> None:
    result = run("models", GLM3EDGE_CACHE_DIR=str(tmp_path), GLM3EDGE_HOST="0.0.0.0")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    result = run("serve", str(tmp_path), "--port", "0", GLM3EDGE_CACHE_DIR=str(tmp_path / "cache"))
    assert result.returncode == 3
    assert result.stderr.startswith("error: ")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("hello")
    result = run("serve", str(path), "--port", "0")
    assert result.returncode == 8
    assert (
        result.stderr
        == f"error: cannot load {path}: it is not a GGUF file; give one, or a checkpoint folder\n"
    )


def test_a_busy_port() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert result.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "--port" in result.stderr


def test_the_banner_has_a_request_that_works(server: Server) -> None:
    assert "toy" in server.banner
    opened = server.banner[server.banner.index("\nOpen ") + 1 :].splitlines()
    assert opened[0] == f"Open {server.url}/ in a browser"
    assert re.fullmatch(
        r"model    glm3-tiny, 7\.\dM parameters, q8_0, [\d,]+ tokens of context", opened[1]
    )
    command = server.banner.partition("try      ")[2].partition("stop")[0]
    words = [word for word in shlex.split(command) if word.strip()]  # less the continued line's end
    result = subprocess.run(words, capture_output=True, text=True, check=True, timeout=HANG_SECONDS)
    assert '"object":"chat.completion"' in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(tiny_gguf: Path, number: signal.Signals) -> None:
    """Also with a stream open, which gets an ending that says why."""
    server = start_server(str(tiny_gguf), "--ctx-size", "65536")
    body = {
        "messages": [{"role": "user", "content": "x"}],
        "stream": True,
        "temperature": 0,
        "repetition_penalty": 1,
    }
    with httpx.stream("POST", f"{server.base_url}/chat/completions", json=body) as reply:
        lines = reply.iter_lines()
        next(lines)
        server.process.send_signal(number)
        rest = "".join(lines)
    stdout, stderr = server.process.communicate(timeout=HANG_SECONDS)
    assert server.process.returncode == 0, stderr
    assert stdout.endswith("stopped\n")
    assert "Traceback" not in stderr
    assert "server_shutting_down" in rest
