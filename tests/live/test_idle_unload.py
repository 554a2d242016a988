"""A model that is unloaded when nobody asks for anything, and comes back."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS

pytestmark = pytest.mark.live

STORY: dict[str, Any] = {
    "messages": [{"role": "user", "content": "讲一个关于一只会飞的猫的故事。" * 16}],
    "max_tokens": 8,
    "temperature": 0,
}


@pytest.fixture(scope="module")
def served(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    cache = str(tmp_path_factory.mktemp("cache"))
    options = ("--idle-unload", "3s", "--threads", "1", "--disk-cache", "100MiB")
    server = start_server(str(tiny_gguf), *options, GLM3EDGE_CACHE_DIR=cache)
    yield server
    assert stop_server(server) == 0


def wait_for(server: Server, state: str) -> None:
    end = time.monotonic() + SECONDS
    while True:
        health = httpx.get(f"{server.url}/health", timeout=SECONDS).json()
        assert health["status"] == "ok"
        if health["model"] == state:
            return
        assert time.monotonic() < end, health
        time.sleep(0.1)


def ask(server: Server) -> dict[str, Any]:
    url = f"{server.base_url}/chat/completions"
    body: dict[str, Any] = httpx.post(url, json=STORY, timeout=SECONDS).json()
    return body


def engines(server: Server, gguf: Path) -> list[int]:
    """Processes that have the weights mapped."""
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()]
    maps = {process.pid: process.memory_maps() for process in processes}
    return [pid for pid, found in maps.items() if any(m.path == str(gguf) for m in found)]


def test_it_goes_and_comes_back_with_its_conversations(served: Server, tiny_gguf: Path) -> None:
    assert engines(served, tiny_gguf)
    first = ask(served)
    wait_for(served, "unloaded")
    assert not engines(served, tiny_gguf)
    assert httpx.get(f"{served.base_url}/models", timeout=SECONDS).json()["data"]
    assert httpx.get(f"{served.url}/api/ps", timeout=SECONDS).json() == {"models": []}
    assert httpx.post(f"{served.url}/tokenize", json={"content": "你好"}).json()["tokens"]
    wait_for(served, "unloaded")  # which needs no weights
    again = ask(served)
    assert again["choices"] == first["choices"]
    details = again["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] > first["usage"]["prompt_tokens"] / 2
    wait_for(served, "loaded")
    assert engines(served, tiny_gguf)


def test_requests_that_come_together_wait_together(served: Server) -> None:
    wait_for(served, "unloaded")
    with ThreadPoolExecutor() as executor:
        asked = [executor.submit(ask, served) for _ in range(3)]
        url = f"{served.base_url}/embeddings"
        embedded = httpx.post(url, json={"input": "你好"}, timeout=SECONDS).json()
        assert embedded["data"][0]["embedding"]
        assert all(reply.result()["choices"] for reply in asked)
