"""Guesses change how fast a reply comes and nothing else."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.servers import start_server, stop_server

pytestmark = pytest.mark.live

REQUESTS: list[dict[str, Any]] = [
    {"temperature": 0, "repetition_penalty": 1.0},
    {"temperature": 0, "repetition_penalty": 1.0, "logprobs": True, "presence_penalty": 0.1},
]


def replies(gguf: Path, cache: Path, *arguments: str) -> list[dict[str, Any]]:
    """The server's replies to REQUESTS, one after another."""
    server = start_server(str(gguf), "--threads", "1", *arguments, GLM3EDGE_CACHE_DIR=str(cache))
    messages = [{"role": "user", "content": "一二三四五，一二三四五，一二三四五，一二三四五，"}]
    found = []
    for options in REQUESTS:
        body = {"messages": messages, "max_tokens": 120, **options}
        reply = httpx.post(f"{server.base_url}/chat/completions", json=body, timeout=100)
        assert reply.status_code == 200, reply.text
        found.append(reply.json())
    assert stop_server(server) == 0
    return found


def test_the_text_is_the_same_with_and_without_drafts(tiny_gguf: Path, tmp_path: Path) -> None:
    with_drafts = replies(tiny_gguf, tmp_path / "with")
    without = replies(tiny_gguf, tmp_path / "without", "--no-drafts")
    for one, other in zip(with_drafts, without, strict=True):
        assert one["choices"][0]["message"] == other["choices"][0]["message"]
        assert one["usage"]["completion_tokens"] == other["usage"]["completion_tokens"]
    details = [reply["usage"]["completion_tokens_details"] for reply in without]
    assert all(not any(counts.values()) for counts in details)
    guessed = [reply["usage"]["completion_tokens_details"] for reply in with_drafts]
    assert sum(counts["accepted_prediction_tokens"] for counts in guessed) > 0
