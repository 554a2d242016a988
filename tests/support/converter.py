"""The converter's command line, in a process of its own."""

import subprocess
import sys
from pathlib import Path


def run_module(
    module: str, *arguments: str | Path, prelude: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a module as a command, with the code ``prelude`` before it."""
    code = f"{prelude}\nimport runpy; runpy.run_module({module!r}, run_name='__main__')"
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run_convert(*arguments: str | Path, prelude: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``python -m glm3edge_convert``."""
    return run_module("glm3edge_convert", *arguments, prelude=prelude)
