"""A server over a worker: what clients see of it, and of its end."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.rpc_workers import Worker, new_worker
from tests.support.servers import Server, start_server, stop_server

pytestmark = pytest.mark.live

SECONDS = 60
NUM_KILLS = 20
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 24}
STORY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "讲一个很长的故事"}],
    "max_tokens": 700,
    "stream": True,
}


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = new_worker()
    yield worker
    worker.kill()


@pytest.fixture(scope="module")
def served(
    tiny_gguf: Path, worker: Worker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A random model, which never comes to an end, with half of its layers on a worker."""
    cache = tmp_path_factory.mktemp("cache")
    server = start_server(
        str(tiny_gguf),
        *("--rpc", worker.address, "--gpu-layers", "3", "--threads", "1"),
        GLM3EDGE_CACHE_DIR=str(cache),
    )
    yield server
    assert stop_server(server) == 0


def health(server: Server) -> httpx.Response:
    return httpx.get(f"{server.url}/health", timeout=SECONDS)


def wait_for(server: Server, status: int) -> httpx.Response:
    deadline = time.monotonic() + SECONDS
    while (reply := health(server)).status_code != status:
        assert time.monotonic() < deadline, reply.text
        time.sleep(0.05)
    return reply


def test_the_banner_tells_where_the_layers_are(served: Server) -> None:
    lines = [line.split(": ") for line in served.banner.splitlines() if "RPC0" in line]
    assert [line[1].split(";")[0] for line in lines] == ["layers 2-3, output"]
    assert "CPU: layers 0-1;" in served.banner


def test_it_serves_as_it_does_without(served: Server, tiny_gguf: Path, tmp_path: Path) -> None:
    alone = start_server(str(tiny_gguf), "--threads", "1", GLM3EDGE_CACHE_DIR=str(tmp_path))
    replies = []
    for server in (alone, served):
        client = openai.OpenAI(base_url=server.base_url, api_key="-", max_retries=0)
        reply = client.chat.completions.create(
            model="m", messages=STORY["messages"], logprobs=True, **GREEDY
        )
        vectors = client.embeddings.create(model="m", input=["你好", "再见"]).data
        replies.append((reply.choices[0].message.content, [v.embedding[:4] for v in vectors]))
    assert stop_server(alone) == 0
    assert replies[0][0] == replies[1][0]
    for ours, theirs in zip(replies[0][1], replies[1][1], strict=True):
        assert ours == pytest.approx(theirs, abs=2e-3)


def test_a_worker_killed_in_a_stream(served: Server, worker: Worker) -> None:
    """Twenty times: the stream has one ending, which says so, and afterwards all is as before."""
    hello = {**STORY, "max_tokens": 4, "stream": False}
    for number in range(NUM_KILLS):
        events = []
        with httpx.stream(
            "POST", f"{served.base_url}/chat/completions", json=STORY, timeout=SECONDS
        ) as stream:
            for line in stream.iter_lines():
                if line:
                    events.append(line.removeprefix("data: "))
                if len(events) == 2 + number % 5:
                    worker.kill()
        assert served.process.poll() is None
        errors = [json.loads(event)["error"] for event in events if '"error"' in event]
        assert [error["code"] for error in errors] == ["engine_lost"]
        assert worker.address in errors[0]["message"] or "crashed" in errors[0]["message"]
        assert '"error"' in events[-1] or events[-1] == "[DONE]"
        assert not any('"finish_reason":"' in event for event in events)
        refused = httpx.post(f"{served.base_url}/chat/completions", json=hello, timeout=SECONDS)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "engine_lost"
        reason = wait_for(served, 503).json()["reason"]
        assert worker.address in reason or "crashed" in reason
        worker.start()
        wait_for(served, 200)
        reply = httpx.post(f"{served.base_url}/chat/completions", json=hello, timeout=SECONDS)
        assert reply.status_code == 200
        assert reply.json()["usage"]["completion_tokens"] == 4
    metrics = httpx.get(f"{served.url}/metrics", timeout=SECONDS).text
    assert f"glm3edge_engine_restarts_total {float(NUM_KILLS)}" in metrics


def test_a_stop_while_the_worker_is_gone(tiny_gguf: Path, tmp_path: Path) -> None:
    worker = new_worker()
    server = start_server(
        str(tiny_gguf), "--rpc", worker.address, "--threads", "1", GLM3EDGE_CACHE_DIR=str(tmp_path)
    )
    worker.kill()
    wait_for(server, 503)
    assert stop_server(server) == 0


def test_a_frozen_worker_ends_its_requests(tiny_gguf: Path, tmp_path: Path) -> None:
    worker = new_worker()
    server = start_server(
        str(tiny_gguf),
        *("--rpc", worker.address, "--threads", "1", "--stall-timeout", "1"),
        GLM3EDGE_CACHE_DIR=str(tmp_path),
    )
    events = []
    with httpx.stream(
        "POST", f"{server.base_url}/chat/completions", json=STORY, timeout=SECONDS
    ) as stream:
        for line in stream.iter_lines():
            events += [line.removeprefix("data: ")] if line else []
            if len(events) == 3:
                worker.freeze()
    errors = [json.loads(event)["error"] for event in events if '"error"' in event]
    assert [error["code"] for error in errors] == ["engine_lost"]
    assert f"worker {worker.address}: no answer in 1 s" in errors[0]["message"]
    wait_for(server, 503)
    worker.thaw()
    wait_for(server, 200)
    assert stop_server(server) == 0
    worker.kill()
