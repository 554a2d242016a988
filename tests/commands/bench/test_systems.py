import sys
from pathlib import Path

import pytest

from glm3edge.commands.bench.systems import System, running


def test_the_server_that_is_measured_asks_for_no_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The client that measures sends none, whatever the environment has for others."""
    monkeypatch.setenv("GLM3EDGE_API_KEY", "key")
    path = tmp_path / "environment"
    script = (
        "import os, pathlib, http.server as h;"
        f"pathlib.Path({str(path)!r}).write_text(' '.join(os.environ));"
        "h.test(h.SimpleHTTPRequestHandler, port={port}, bind='127.0.0.1')"
    )
    with running(System("a server", (sys.executable, "-c", script), health="/")):
        names = path.read_text().split()
    assert "PATH" in names
    assert "GLM3EDGE_API_KEY" not in names
