"""A file of llama.cpp's own converter, served, planned for and verified as ours is."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gguf
import httpx
import pytest

from glm3edge_convert import convert
from tests.support.cli import run
from tests.support.llama import quantize
from tests.support.llama_cpp_files import TYPES, as_llama_cpp_writes
from tests.support.lora_adapters import layer_modules, make_adapter
from tests.support.paths import GLM3_TINY
from tests.support.rpc_workers import new_worker
from tests.support.servers import Server, start_server, stop_server

pytestmark = pytest.mark.live

TEXTS = ["Tell me of philosophy.", "制定sop流程", "geopolitics: sop, eop", "<|user|>你好", "你好"]
TOOL = {
    "type": "function",
    "function": {
        "name": "sop_lookup",
        "description": "查询 sop 流程 of peoples",
        "parameters": {"type": "object", "properties": {"eop": {"type": "string"}}},
    },
}
NOTE = "was made by llama.cpp's converter"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The built-in model as our converter and as llama.cpp's writes it."""
    folder = tmp_path_factory.mktemp("files")
    ours, theirs = folder / "ours.gguf", folder / "theirs.gguf"
    convert(GLM3_TINY, ours, quant_type="f16")
    return ours, as_llama_cpp_writes(ours, theirs)


@pytest.fixture(scope="module", params=["alone", "with a worker"])
def servers(
    request: pytest.FixtureRequest,
    files: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Server]]:
    """One for each file; the second logs a line about it, and the first nothing."""
    folder = tmp_path_factory.mktemp("servers")
    adapter = make_adapter(folder / "poet", GLM3_TINY, layer_modules(6)).folder
    with ExitStack() as stack:
        options = []
        if request.param == "with a worker":  # whose server has the weights in another process
            worker = new_worker()
            stack.callback(worker.kill)
            options = ["--rpc", worker.address, "--gpu-layers", "3"]
        started = []
        for path, added in zip(files, ([], options), strict=True):
            added += ["--lora", str(adapter)]
            log = stack.enter_context((folder / f"{path.stem}.log").open("w"))
            environment = {"GLM3EDGE_CACHE_DIR": str(folder / path.stem)}
            started.append(start_server(str(path), *added, stderr=log, **environment))
            stack.callback(stop_server, started[-1])
        yield started
    assert (folder / "ours.log").read_text("utf-8") == ""
    (line,) = (folder / "theirs.log").read_text("utf-8").splitlines()
    assert str(files[1]) in line
    assert NOTE in line


def both(servers: list[Server], route: str, **body: Any) -> list[Any]:
    replies = [
        httpx.post(f"{s.url}{route}", json={"model": "glm3-tiny", **body}, timeout=120)
        for s in servers
    ]
    assert [reply.status_code for reply in replies] == [200, 200]
    return [reply.json() for reply in replies]


@pytest.mark.parametrize("text", TEXTS)
def test_tokens(text: str, servers: list[Server]) -> None:
    ours, theirs = both(servers, "/tokenize", content=text, with_pieces=True, add_special=True)
    assert theirs == ours
    ids = [token["id"] for token in theirs["tokens"]]
    ours, theirs = both(servers, "/detokenize", tokens=[1, 2, *ids])
    assert theirs == ours


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("tools", [[], [TOOL]])
def test_replies(text: str, tools: list[Any], servers: list[Server]) -> None:
    body = {
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": 40,
        "logprobs": True,
        **({"tools": tools} if tools else {}),
    }
    ours, theirs = map(_told, both(servers, "/v1/chat/completions", **body))
    assert theirs == ours


def _told(reply: Any) -> Any:
    """What the model wrote and what of: batches differ, and with them the last bits of logits."""
    (choice,) = reply["choices"]
    calls = [call["function"] for call in choice["message"].get("tool_calls") or []]
    tokens = [token["token"] for token in (choice["logprobs"] or {}).get("content") or []]
    return choice["message"].get("content"), calls, tokens, reply["usage"]["prompt_tokens"]


def test_an_adapter(servers: list[Server]) -> None:
    """It was refused as of a wrong base model: our adapters are padded as our models are."""
    said = {}
    for model in ("glm3-tiny", "poet"):
        body = {"model": model, "messages": [{"role": "user", "content": "你好"}]}
        replies = both(servers, "/v1/chat/completions", **body, temperature=0, max_tokens=24)
        ours, said[model] = map(_told, replies)
        assert said[model] == ours
    assert said["poet"] != said["glm3-tiny"]


@pytest.mark.parametrize("text", TEXTS)
def test_completions(text: str, servers: list[Server]) -> None:
    options = {
        "prompt": text,
        "echo": True,
        "max_tokens": 8,
        "temperature": 0,
    }
    ours, theirs = both(servers, "/v1/completions", **options)
    assert theirs["choices"] == ours["choices"]
    assert theirs["usage"]["total_tokens"] == ours["usage"]["total_tokens"]


def test_the_terminal_chat(files: tuple[Path, Path]) -> None:
    options = ["--set", "temperature=0", "--log-level", "warning", *TEXTS]
    replies = [run("chat", "-m", str(path), *options) for path in files]
    assert replies[0].returncode == 0, replies[0].stderr
    assert replies[1].stdout == replies[0].stdout
    assert [reply.stderr.count(NOTE) for reply in replies] == [0, 1]


def test_plan(files: tuple[Path, Path]) -> None:
    for path, count in zip(files, (0, 1), strict=True):
        result = run("plan", str(path), "--bandwidth", "30GB/s")
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith("Yes: f16, ")
        assert result.stderr.count(NOTE) == count


def test_verify(files: tuple[Path, Path]) -> None:
    for original in (GLM3_TINY, files[0]):
        result = run("verify", str(files[1]), "--against", str(original), "--windows", "2")
        assert result.returncode == 0, result.stderr
        assert "tokens of the vocabulary and the ids of" in result.stdout
        assert result.stderr.count(NOTE) == 1


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_K_M", "Q5_1"])
def test_files_of_the_quantize_tool(kind: str, files: tuple[Path, Path], tmp_path: Path) -> None:
    """Under a name without a suffix, as Ollama keeps them."""
    path = tmp_path / "sha256-0123abcd"
    quantize(files[1], path, gguf.LlamaFileType[f"MOSTLY_{kind}"])
    told = {
        "inspect": run("inspect", str(path)),
        "plan": run("plan", str(path), "--bandwidth", "30GB/s"),
        "chat": run("chat", "-m", str(path), "--set", "temperature=0", "制定sop流程"),
        "verify": run(
            *("verify", str(path), "--against", str(GLM3_TINY)),
            *("--windows", "2", "--max-kl", "1"),
        ),
    }
    for command, result in told.items():
        assert result.returncode == 0, (command, result.stderr)
        assert result.stderr.count(NOTE) == (command in {"plan", "verify"})
    assert told["plan"].stdout.startswith(f"Yes: {kind.lower()}, ")
    assert f"| {kind.lower()} |" in told["verify"].stdout
    assert "tokens of the vocabulary and the ids of" in told["verify"].stdout
    assert told["chat"].stdout.strip()


def test_imatrix(files: tuple[Path, Path], tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(
        "philosophy, geopolitics and the sopping peoples of 制定sop流程\n" * 60, "utf-8"
    )
    told = []
    for path in files:
        output = tmp_path / f"{path.stem}-imatrix.gguf"
        options = ["-o", str(output), "--text", str(text), "--chunk-size", "64"]
        result = run("imatrix", str(path), *options)
        assert result.returncode == 0, result.stderr
        told.append(result.stdout.partition(": ")[2])
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "command",
    [
        ["serve", "{path}", "--port", "0"],
        ["chat", "-m", "{path}", "你好"],
        ["plan", "{path}"],
        ["imatrix", "{path}", "-o", "{path}.imatrix"],
        ["verify", "{path}", "--against", str(GLM3_TINY)],
    ],
)
def test_another_vocabulary_is_refused(
    command: list[str], files: tuple[Path, Path], tmp_path: Path
) -> None:
    """llama.cpp calls GLM-4's architecture chatglm too."""
    types = gguf.GGUFReader(files[0]).fields[TYPES].contents()
    path = as_llama_cpp_writes(
        files[0],
        tmp_path / "glm-4.gguf",
        {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "chatglm-bpe",
            "tokenizer.ggml.merges": ["a b"],
            TYPES: [1 if kind == 6 else kind for kind in types],  # it has no tokens for bytes
        },
    )
    result = run(*(word.format(path=path) for word in command))
    assert result.returncode == 8
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"error: cannot load {path}: its vocabulary is not ChatGLM3's")
    assert line.endswith("glm3edge convert FOLDER")
