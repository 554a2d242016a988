"""A front over several engines: what each sees, and what becomes of requests when one dies."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS, wait_for

pytestmark = pytest.mark.live

NUM_CLIENTS = 6
NUM_KILLS = 20


@dataclass
class Engines:
    """Two engines, which keep their ports, and the front over them."""

    options: tuple[str, ...]
    servers: list[Server]
    front: Server

    def kill(self, index: int) -> None:
        self.servers[index].process.kill()
        self.servers[index].process.communicate()

    def restart(self, index: int) -> None:
        port = self.servers[index].url.rpartition(":")[2]
        self.servers[index] = start_server(*self.options, "--port", port)

    def states(self) -> list[str]:
        replicas = httpx.get(f"{self.front.url}/health", timeout=SECONDS).json()["replicas"]
        return [replica["status"] for replica in replicas]

    def metric(self, name: str) -> dict[str, float]:
        """Samples of the front's metric for each replica."""
        text = httpx.get(f"{self.front.url}/metrics", timeout=SECONDS).text
        return {
            sample.labels["replica"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }


@pytest.fixture(scope="module")
def engines(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Random weights: no reply ends by itself."""
    cache = str(tmp_path_factory.mktemp("cache"))
    options = (str(tiny_gguf), "--ctx-size", "16384", "--cache-dir", cache)
    servers = [start_server(*options) for _ in range(2)]
    urls = [part for one in servers for part in ("--engine", one.url)]
    front = start_server(str(tiny_gguf), *urls, "--cache-dir", cache)
    found = Engines(options, servers, front)
    yield found
    assert stop_server(front) == 0
    assert [stop_server(one) for one in found.servers] == [0, 0]


def ask(engines: Engines, question: str, **fields: Any) -> dict[str, Any]:
    body = {
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": 8,
        **fields,
    }
    url = f"{engines.front.base_url}/chat/completions"
    reply = httpx.post(url, json=body, timeout=SECONDS)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_each_replica_is_seen(engines: Engines) -> None:
    assert engines.states() == ["ok", "ok"]
    for number in range(20):
        ask(engines, f"第{number}个问题")
    urls = [f"{one.url}/v1" for one in engines.servers]
    assert engines.metric("glm3edge_replica_up") == dict.fromkeys(urls, 1)
    tokens = engines.metric("glm3edge_replica_completion_tokens_total")
    assert list(tokens) == urls
    assert min(tokens.values()) > 0
    assert sum(tokens.values()) >= 8 * 20


def test_a_text_that_grows_finds_its_cache(engines: Engines) -> None:
    """It goes to one replica, whatever comes between."""
    prompt = "很久以前，" * 40
    for turn in range(4):
        body = {"prompt": prompt, "temperature": 0, "max_tokens": 8}
        url = f"{engines.front.base_url}/completions"
        reply = httpx.post(url, json=body, timeout=SECONDS).json()
        cached = reply["usage"]["prompt_tokens_details"]["cached_tokens"]
        assert turn == 0 or cached > 0.5 * reply["usage"]["prompt_tokens"]
        prompt += "有一位老人，" * 5
        ask(engines, f"别的问题{turn}")


def test_a_frozen_replica_is_passed_over(engines: Engines) -> None:
    process = engines.servers[0].process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        threads = [
            threading.Thread(target=ask, args=(engines, f"冻住了吗{number}？"))
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engines.states() == ["unavailable", "ok"]
    finally:
        os.kill(process.pid, signal.SIGCONT)
    wait_for(lambda: engines.states() == ["ok", "ok"])


@dataclass
class Client:
    """Asks one question after another, and notes how each reply ends.

    Attributes:
        endings: of the replies.
        faults: what must not be.
    """

    engines: Engines
    number: int
    stopped: threading.Event
    endings: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def run(self) -> None:
        turn = 0
        with httpx.Client(base_url=self.engines.front.base_url, timeout=SECONDS) as client:
            while not self.stopped.is_set():
                turn += 1
                try:
                    self._ask(client, f"{self.number} {turn}")
                except Exception as exc:
                    self.faults.append(repr(exc))

    def _ask(self, client: httpx.Client, prompt: str) -> None:
        """A text's stream tells each token, so that one with none is known."""
        body = {
            "prompt": prompt,
            "max_tokens": 60,
            "temperature": 0,
            "stream": True,
            "return_token_ids": True,
        }
        num_tokens = 0
        endings: list[str] = []
        with client.stream("POST", "/completions", json=body) as stream:
            if stream.status_code != 200:
                self.faults.append(f"status {stream.status_code}")
                return
            for line in stream.iter_lines():
                data = line.removeprefix("data: ")
                if not line.startswith("data: ") or data == "[DONE]":
                    continue
                event = json.loads(data)
                if endings:
                    self.faults.append(f"after the ending: {data}")
                if "error" in event:
                    endings.append(event["error"]["code"])
                    continue
                for choice in event["choices"]:
                    num_tokens += len(choice.get("token_ids") or ())
                    if choice["finish_reason"]:
                        endings.append(choice["finish_reason"])
        if len(endings) != 1:
            self.faults.append(f"endings: {endings}")
        elif endings[0] == "length" and num_tokens != 60:
            self.faults.append(f"{num_tokens} tokens of 60")
        elif endings[0] == "engine_lost" and not num_tokens:
            self.faults.append("lost without a token")
        self.endings += Counter(endings)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_lose_no_request_without_a_token(engines: Engines) -> None:
    """One of two is killed twenty times under load; a request with tokens ends once."""
    stopped = threading.Event()
    clients = [Client(engines, number, stopped) for number in range(NUM_CLIENTS)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    try:
        for number in range(NUM_KILLS):
            time.sleep(0.3)
            engines.kill(number % 2)
            time.sleep(0.2)
            engines.restart(number % 2)
            wait_for(lambda: engines.states() == ["ok", "ok"])
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert [client.faults for client in clients] == [[]] * NUM_CLIENTS
    endings = sum((client.endings for client in clients), Counter[str]())
    assert set(endings) <= {"length", "engine_lost"}
    assert endings["length"] > NUM_KILLS
    assert endings["engine_lost"] > 0
