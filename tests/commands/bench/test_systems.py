import json
import sys
from pathlib import Path

import pytest

from glm3edge.commands.bench.systems import System, running
from glm3edge.config.settings import load_settings


def test_the_server_that_is_measured_asks_for_no_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The client that measures sends none, whatever the environment and the file have for others.

    Other settings are the user's.
    """
    monkeypatch.setenv("GLM3EDGE_API_KEY", "key")
    config = tmp_path / "config.toml"
    config.write_text("api-key = 'key'\nopen = true\ngpu-layers = 3\nrpc = ['a:1', 'b:1']")
    monkeypatch.setenv("GLM3EDGE_CONFIG", str(config))
    path = tmp_path / "environment"
    script = (
        "import json, os, pathlib, http.server as h;"
        f"pathlib.Path({str(path)!r}).write_text(json.dumps(dict(os.environ)));"
        "h.test(h.SimpleHTTPRequestHandler, port={port}, bind='127.0.0.1')"
    )
    with running(System("a server", (sys.executable, "-c", script), health="/")):
        environment = json.loads(path.read_text())
    assert "PATH" in environment
    assert not {"GLM3EDGE_API_KEY", "GLM3EDGE_OPEN"} & environment.keys()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GLM3EDGE_API_KEY")
    settings = load_settings()
    assert (settings.api_key, settings.open, settings.gpu_layers) == (None, False, "3")
    assert settings.rpc == ("a:1", "b:1")
