"""READMEs and docs: each fenced block of code is run, or says what it needs; commands exist."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from glm3edge.commands.app import app
from glm3edge.commands.group import load_command
from glm3edge.commands.registry import COMMANDS
from glm3edge.config.settings import Settings
from tests.support.pages import PAGES, READMES, TRANSLATIONS, Block, blocks
from tests.support.paths import ROOT
from tests.support.servers import Server
from tests.support.snippets import Reader, make_folder

pytestmark = pytest.mark.slow

NEEDS = ("the network", "the real model", "Windows")
"""What may keep a block from being run."""

BUILD = "".join((ROOT / name).read_text("utf-8") for name in ("Makefile", "scripts/install.sh"))


def fenced(page: Path) -> list[Block]:
    """Blocks to run: in READMEs indented ones too, which say no language and so fail."""
    return [block for block in blocks(page) if block.language or page in READMES]


def blocks_to_run() -> Iterator[Any]:
    """Those of every page but what a Chinese one has in common with the English one."""
    originals = {translation: page for page, translation in TRANSLATIONS}
    for page in PAGES:
        known = [_bare(block) for block in fenced(originals[page])] if page in originals else []
        for block in fenced(page):
            if _bare(block) not in known:
                place = f"{page.name}:{block.line}"
                reason = f"{place} needs {block.needs}"
                marks = [pytest.mark.skip(reason=reason)] if block.needs else []
                yield pytest.param(block, id=place, marks=marks)


def _bare(block: Block) -> str:
    """A block without its comments, which are in the page's language."""
    return re.sub(r"[ \t]*(?<!\S)#.*", "", block.text) if block.language == "sh" else block.text


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
@pytest.mark.parametrize("block", list(blocks_to_run()))
def test_a_block_runs(reader: Reader, block: Block) -> None:
    said = reader.run(block)
    assert '"error"' not in said
    assert said or block.run is not None, "it printed nothing"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_not_run_says_why(page: Path) -> None:
    """In words that the reader knows: what it takes is none of the machine's usual things."""
    for reason in [block.needs for block in fenced(page) if block.needs is not None]:
        assert reason.startswith(NEEDS), reason


@pytest.mark.parametrize("name", ["clients.md", "clients.zh-CN.md"])
def test_open_webui_is_told_to_leave_out_its_tools(name: str) -> None:
    """They fill the context: without this its first message is refused."""
    page = ROOT / "docs" / name
    (text,) = [block.text for block in blocks(page) if "open-webui serve" in block.text]
    words = dict(word.split("=", 1) for word in shlex.split(text) if "=" in word)
    assert words["OPENAI_API_BASE_URL"] == "http://127.0.0.1:8000/v1"
    assert json.loads(words["DEFAULT_MODEL_METADATA"]) == {"capabilities": {"builtin_tools": False}}


def command_lines(pattern: str) -> Iterator[Any]:
    for page in PAGES:
        for block in blocks(page):
            text = block.text.replace("\\\n", " ")
            for number, line in enumerate(text.splitlines()):
                if re.search(pattern, line.partition("#")[0]):
                    yield pytest.param(line, id=f"{page.name}:{block.line + number}")


@pytest.mark.parametrize("line", list(command_lines(r"(?:^|[\s/])glm3edge (?!<|&&)[a-z-]")))
def test_commands_and_options_exist(line: str) -> None:
    """Of every block in README and docs, those that need something too."""
    words = shlex.split(line, comments=True)
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and name.startswith("GLM3EDGE_"):
            assert name.removeprefix("GLM3EDGE_").lower() in Settings.model_fields
    start = next(i for i, word in enumerate(words) if word.rpartition("/")[2] == "glm3edge")
    _check_arguments(words[start + 1 :])


@pytest.mark.parametrize("line", list(command_lines(r"^\s*(?:\w+=\S+ )*make [a-zA-Z]")))
def test_targets_and_variables_of_make_exist(line: str) -> None:
    """Of every block, with the options of ``serve`` that ARGS has."""
    words = shlex.split(line, comments=True)
    for word in words[words.index("make") + 1 :]:
        name, equals, value = word.partition("=")
        assert re.search(rf"\b{name}\b" if equals else rf"(?m)^{name}:", BUILD), word
        if name == "ARGS" and "serve" in words:
            _check_arguments(["serve", *shlex.split(value)])


def _check_arguments(words: list[str]) -> None:
    command: Any = get_command(app)
    for word in words:
        if word.startswith("-"):
            name = word.partition("=")[0]
            options = [o for p in command.params for o in (*p.opts, *p.secondary_opts)]
            assert name in options, f"{command.name} has no {name}"
        elif word in getattr(command, "commands", {}):
            command = load_command(word) if word in COMMANDS else command.commands[word]
        else:
            assert not hasattr(command, "commands") or command.name == "models", word
