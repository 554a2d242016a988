"""READMEs: each block of code is run, or says what it needs; both languages have the same."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from glm3edge.commands.app import app
from glm3edge.commands.group import load_command
from glm3edge.commands.registry import COMMANDS
from glm3edge.config.settings import Settings
from tests.support.pages import PAGES, READMES, Block, blocks, rows
from tests.support.paths import ROOT
from tests.support.servers import Server
from tests.support.snippets import Reader, make_folder

pytestmark = pytest.mark.slow

ENGLISH, CHINESE = READMES
_PLAN = "plan --vram 0 --ram 32GiB --bandwidth 31GB/s --ctx-size 8192 --json"

NEEDS = ("the network", "the real model", "a GPU")
"""What may keep a block from being run."""


def marked(path: Path) -> list[Any]:
    return [
        pytest.param(path, block, id=f"{path.name}:{block.line}", marks=_marks(path, block))
        for block in blocks(path)
    ]


def _marks(path: Path, block: Block) -> list[pytest.MarkDecorator]:
    if block.needs is None:
        return []
    return [pytest.mark.skip(reason=f"{path.name}:{block.line} needs {block.needs}")]


@pytest.fixture(scope="module")
def reader(server: Server, node_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder = tmp_path_factory.mktemp("reader")
    make_folder(folder)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "convert"), os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "GLM3EDGE_CACHE_DIR": str(folder / "cache"),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": paths,
    }
    return Reader(folder, node_folder, server, environment)


@pytest.mark.live
@pytest.mark.parametrize(("path", "block"), marked(ENGLISH))
def test_a_block_runs(reader: Reader, path: Path, block: Block) -> None:
    said = reader.run(block)
    assert '"error"' not in said
    assert said or block.run is not None, "it printed nothing"


def test_both_have_the_same_blocks() -> None:
    """So that those of one need to be run only."""
    assert [_bare(block) for block in blocks(CHINESE)] == [
        _bare(block) for block in blocks(ENGLISH)
    ]


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.name))
def test_open_webui_is_told_to_leave_out_its_tools(path: Path) -> None:
    """They fill the context: without this its first message is refused."""
    (text,) = [block.text for block in blocks(path) if "open-webui serve" in block.text]
    words = dict(word.split("=", 1) for word in shlex.split(text) if "=" in word)
    assert words["OPENAI_API_BASE_URL"] == "http://127.0.0.1:8000/v1"
    assert json.loads(words["DEFAULT_MODEL_METADATA"]) == {"capabilities": {"builtin_tools": False}}


def _bare(block: Block) -> tuple[str, str, bool, str | None]:
    """A block without its comments, which are in the page's language."""
    text = re.sub(r"[ \t]*(?<!\S)#.*", "", block.text) if block.language == "sh" else block.text
    return text, block.language, block.needs is not None, block.run


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.name))
def test_what_is_not_run_says_why(path: Path) -> None:
    """In words that the reader knows: what it takes is none of the machine's usual things."""
    reasons = [block.needs for block in blocks(path) if block.needs is not None]
    assert reasons
    for reason in reasons:
        assert reason.startswith(NEEDS), reason


def test_both_have_the_same_tables_of_numbers() -> None:
    """Headings differ, and so do words; numbers do not."""
    figures = [re.findall(r"\d[\d.,]*", _tables(path)) for path in READMES]
    assert figures[0] == figures[1]


def _tables(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("|"))


def command_lines() -> Iterator[Any]:
    for path in PAGES:
        for block in blocks(path):
            text = block.text.replace("\\\n", " ")
            for number, line in enumerate(text.splitlines()):
                if re.search(r"(?:^|[\s/])glm3edge (?!<|&&)[a-z-]", line.partition("#")[0]):
                    yield pytest.param(line, id=f"{path.name}:{block.line + number}")


@pytest.mark.parametrize("line", list(command_lines()))
def test_commands_and_options_exist(line: str) -> None:
    """Of every block in README and docs, those that need something too."""
    words = shlex.split(line, comments=True)
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and name.startswith("GLM3EDGE_"):
            assert name.removeprefix("GLM3EDGE_").lower() in Settings.model_fields
    start = next(i for i, word in enumerate(words) if word.rpartition("/")[2] == "glm3edge")
    command: Any = get_command(app)
    for word in words[start + 1 :]:
        if word.startswith("-"):
            name = word.partition("=")[0]
            options = [o for p in command.params for o in (*p.opts, *p.secondary_opts)]
            assert name in options, f"{command.name} has no {name}"
        elif word in getattr(command, "commands", {}):
            command = load_command(word) if word in COMMANDS else command.commands[word]
        else:
            assert not hasattr(command, "commands") or command.name == "models", word


@cache
def said_in_the_code() -> tuple[str, ...]:
    """All texts of the code, with … where something is filled in."""
    found = []
    for folder in (ROOT / "glm3edge", ROOT / "convert"):
        for path in sorted(folder.rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [text for node in ast.walk(tree) if (text := _text(node)) is not None]
    scripts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "scripts").glob("*.sh"))]
    return (*found, *scripts)


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
        return "".join(parts)
    return None


@pytest.mark.parametrize(
    ("path", "heading"), [(ENGLISH, "When something goes wrong"), (CHINESE, "出了问题")]
)
def test_errors_are_the_programs_own(path: Path, heading: str) -> None:
    messages = [m for row in rows(path, heading) for m in re.findall(r"`([^`]+)`", row[0])]
    assert len(messages) > 10
    for message in messages:
        pieces = [piece.strip() for piece in message.split("…") if len(piece.strip()) > 3]
        pattern = ".*".join(map(re.escape, pieces))
        assert any(re.search(pattern, text) for text in said_in_the_code()), message


@pytest.fixture(scope="module")
def planned() -> dict[str, Any]:
    """What ``glm3edge plan`` says of each type, with 8,192 tokens and 31 GB/s."""
    result = subprocess.run(
        [sys.executable, "-m", "glm3edge", *shlex.split(_PLAN)],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=ROOT,
    )
    return {entry["type"]: entry for entry in json.loads(result.stdout)["types"]}


@pytest.mark.live
def test_sizes_and_memory_are_what_plan_says(planned: dict[str, Any]) -> None:
    sizes, memory = (rows(ENGLISH, "Which type, and what fits", number=n) for n in (0, 1))
    assert len(sizes) == len(memory) == len(planned)
    for name, size, *_ in sizes:
        assert float(size) == pytest.approx(_gib(planned[name.strip("*`")]["file_size"]), abs=0.05)
    for name, *totals, speed in memory:
        entry = planned[name.strip("*`")]
        parts = ("total", "states", "keys_values")
        total, states, cache = (entry["memory"]["CPU"][part] for part in parts)
        for cell, length in zip(totals, (2048, 8192, 32768), strict=True):
            taken = total - states + cache * (length / 8192 - 1)
            assert float(cell) == pytest.approx(_gib(taken), abs=0.06)
        assert float(speed) == pytest.approx(entry["tokens_per_second"], abs=0.051)


def _gib(num_bytes: float) -> float:
    return num_bytes / 2**30
