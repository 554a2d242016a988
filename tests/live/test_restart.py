"""What was computed before a restart, by the figures that a client sees."""

import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.servers import Server, start_server, stop_server

pytestmark = pytest.mark.live

MESSAGES = [{"role": "user", "content": "量化是什么意思？请说说 q4_k_m 和 q8_0 的区别。" * 4}]


def cached_tokens(server: Server) -> int:
    client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)
    reply = client.chat.completions.create(
        model="m",
        messages=MESSAGES,  # type: ignore[arg-type]
        max_tokens=4,
    )
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is not None
    return reply.usage.prompt_tokens_details.cached_tokens or 0


def served_twice(gguf: Path, cache: Path, *arguments: str) -> list[int]:
    """Cached tokens of the same request, before a restart and after."""
    found = []
    for _ in range(2):
        server = start_server(str(gguf), *arguments, GLM3EDGE_CACHE_DIR=str(cache))
        found.append(cached_tokens(server))
        assert stop_server(server) == 0
    return found


def test_a_restart_keeps_what_was_computed(tiny_gguf: Path, tmp_path: Path) -> None:
    before, after = served_twice(tiny_gguf, tmp_path)
    assert before == 0
    assert after > 64


def test_without_a_disk_cache_it_does_not(tiny_gguf: Path, tmp_path: Path) -> None:
    assert served_twice(tiny_gguf, tmp_path, "--disk-cache", "0") == [0, 0]
    assert not (tmp_path / "states").exists()


def test_without_it_nothing_is_written(tmp_path: Path) -> None:
    """Responses are kept in memory alone; the model is the built-in one, converted before."""
    homes = {"HOME": "", "XDG_CACHE_HOME": "cache", "XDG_STATE_HOME": "state", "TMPDIR": "tmp"}
    (tmp_path / "tmp").mkdir()
    environment: dict[str, Any] = {name: str(tmp_path / path) for name, path in homes.items()}
    before: list[Path] = []
    for _ in range(2):
        server = start_server("--disk-cache", "0", **environment, GLM3EDGE_CACHE_DIR="")
        client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)
        kept = client.responses.create(model="m", input=str(MESSAGES), max_output_tokens=4)
        assert client.responses.retrieve(kept.id) == kept
        assert stop_server(server) == 0
        found = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        assert found == (before or found)
        before = found
    assert {path.suffix for path in before} == {".gguf", ".json"}
    assert not any(str(MESSAGES)[20:60].encode() in path.read_bytes() for path in before)


def test_so_does_a_kill_once_the_server_was_idle(tiny_gguf: Path, tmp_path: Path) -> None:
    server = start_server(str(tiny_gguf), GLM3EDGE_CACHE_DIR=str(tmp_path))
    assert cached_tokens(server) == 0
    for _ in range(500):
        if list((tmp_path / "states").glob("*.state")):
            break
        time.sleep(0.02)
    server.process.kill()
    server.process.communicate()
    again = start_server(str(tiny_gguf), GLM3EDGE_CACHE_DIR=str(tmp_path))
    assert cached_tokens(again) > 64
    assert stop_server(again) == 0


def test_kills_at_any_moment_leave_a_cache_that_serves(tiny_gguf: Path, tmp_path: Path) -> None:
    """While states are being written too: the pause before that is over by then."""
    rng = random.Random(7)
    for number in range(5):
        server = start_server(str(tiny_gguf), GLM3EDGE_CACHE_DIR=str(tmp_path))
        threads = [threading.Thread(target=_ask, args=(server, 10 * number + n)) for n in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(rng.choice((rng.uniform(0, 0.5), rng.uniform(2.0, 2.6))))
        server.process.kill()
        server.process.communicate()
        for thread in threads:
            thread.join()
    server = start_server(str(tiny_gguf), GLM3EDGE_CACHE_DIR=str(tmp_path))
    assert cached_tokens(server) == 0
    assert cached_tokens(server) > 64
    assert stop_server(server) == 0
    assert not list((tmp_path / "states").glob(".*"))


def _ask(server: Server, number: int) -> None:
    messages = [{"role": "user", "content": f"{number}" + "请介绍一下这里。" * 20}]
    with suppress(httpx.TransportError):  # it is killed meanwhile
        httpx.post(f"{server.base_url}/chat/completions", json={"messages": messages}, timeout=60)
