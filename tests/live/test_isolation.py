"""A server whose engine is a process of its own on the CPU: what is left when that one fails."""

import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.servers import Server, start_server, stop_server

pytestmark = pytest.mark.live

SECONDS = 60
STORY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "讲一个很长的故事"}],
    "max_tokens": 3000,
    "stream": True,
}


@pytest.fixture(scope="module")
def served(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    cache = str(tmp_path_factory.mktemp("cache"))
    options = ("--isolate", "--threads", "1", "--ctx-size", "4096", "--stall-timeout", "5")
    server = start_server(str(tiny_gguf), *options, GLM3EDGE_CACHE_DIR=cache)
    yield server
    assert stop_server(server) == 0


def engine_process(server: Server) -> psutil.Process:
    """The engine's process: Python's own helper for processes computes nothing."""
    children = psutil.Process(server.process.pid).children()
    return max(children, key=lambda process: process.memory_info().rss)


def use_up_memory(process: psutil.Process) -> None:
    """Let it have no more memory than it has."""
    resource.prlimit(process.pid, resource.RLIMIT_AS, (process.memory_info().vms,) * 2)


FAULTS: dict[str, Callable[[psutil.Process], None]] = {
    "killed, as the kernel does without memory": psutil.Process.kill,
    "frozen": psutil.Process.suspend,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_engine_fails_and_the_server_goes_on(served: Server, fault: str) -> None:
    url = f"{served.base_url}/chat/completions"
    events = []
    with httpx.stream("POST", url, json=STORY, timeout=2 * SECONDS) as stream:
        for line in stream.iter_lines():
            events += [line.removeprefix("data: ")] if line else []
            if len(events) == 3:
                FAULTS[fault](engine_process(served))
    errors = [json.loads(event)["error"] for event in events if '"error"' in event]
    assert [error["code"] for error in errors] == ["engine_lost"]
    assert_it_serves(served)


def test_a_request_without_memory_fails_alone(served: Server) -> None:
    """A long prompt makes llama.cpp allocate, and it may not."""
    use_up_memory(engine_process(served))
    long = {**STORY, "stream": False, "max_tokens": 4}
    long["messages"] = [{"role": "user", "content": "很长" * 1500}]
    reply = httpx.post(f"{served.base_url}/chat/completions", json=long, timeout=SECONDS)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "engine_lost")
    assert "its process ran out of memory" in reply.json()["error"]["message"]
    assert_it_serves(served)


def assert_it_serves(server: Server) -> None:
    """Wait until the engine is back, and have it reply."""
    deadline = time.monotonic() + SECONDS
    while httpx.get(f"{server.url}/health", timeout=SECONDS).status_code != 200:
        assert time.monotonic() < deadline
    hello = {**STORY, "stream": False, "max_tokens": 4}
    reply = httpx.post(f"{server.base_url}/chat/completions", json=hello, timeout=SECONDS)
    assert reply.status_code == 200
