"""``glm3edge serve`` as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.support.waiting import SECONDS


@dataclass(frozen=True)
class Server:
    """A running ``glm3edge serve``."""

    process: "subprocess.Popen[str]"
    url: str
    banner: str

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


def start_server(
    *arguments: str,
    stderr: TextIO | int = subprocess.PIPE,
    python: str = sys.executable,
    **environment: str,
) -> Server:
    """Run ``glm3edge serve`` on a free port and wait until it listens.

    What writes much to ``stderr`` needs a file for it: nobody reads a pipe before the end.
    ``python`` is an interpreter that has glm3edge.
    """
    process = subprocess.Popen(
        [python, "-m", "glm3edge", "serve", "--port", "0", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    banner = _read_banner(process)
    url = banner.partition("docs: ")[2].partition("/docs")[0]
    return Server(process, url, banner)


@contextmanager
def early_server(
    *arguments: str, hub_url: str, folder: Path, **environment: str
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """``glm3edge serve`` that pulls a model into ``folder``, and its address; nothing is waited
    for."""
    process = subprocess.Popen(
        [sys.executable, "-m", "glm3edge", "serve", "--port", "0", *arguments],
        env={
            **os.environ,
            "HF_ENDPOINT": hub_url,
            "HF_HOME": str(folder / "hf"),
            "GLM3EDGE_CACHE_DIR": str(folder / "cache"),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith("page ")), None)
        assert line is not None, process.communicate()
        yield process, line.split()[1].rstrip("/")
    finally:
        process.kill()
        process.communicate()


def _read_banner(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("stop"):
            return "".join(lines)
    stderr = process.communicate()[1]
    raise AssertionError(f"the server did not start: {lines} {stderr}")


def stop_server(server: Server) -> int:
    """End a server as a service manager would; returns its exit code."""
    server.process.terminate()
    try:
        server.process.communicate(timeout=SECONDS)
    finally:
        server.process.kill()
    return server.process.returncode
