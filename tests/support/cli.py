"""The ``glm3edge`` command in a process of its own."""

import os
import subprocess
import sys

HANG_SECONDS = 240
"""Only guards against hangs: a busy machine may take long."""


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``glm3edge`` with ``arguments``, and with ``environment`` over this process's."""
    return subprocess.run(
        [sys.executable, "-m", "glm3edge", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
