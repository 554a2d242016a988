"""Clients that leave, on real sockets."""

import threading

import httpx
import pytest

from glm3edge.serving.services import Services
from tests.support.fakes import EOS, FakeBackend, spell
from tests.support.waiting import LEAVING, SECONDS, is_freed, let_one_through, wait_for

pytestmark = pytest.mark.slow

BODY = {"messages": [{"role": "user", "content": "hi"}]}


def test_leaving_a_stream_frees_the_sequence(backend: FakeBackend, url: str) -> None:
    backend.reply_for = lambda _prompt: spell("\n" + "x" * 3000)
    backend.gate = threading.Semaphore(5)
    with (
        httpx.Client(base_url=url, timeout=SECONDS) as client,
        client.stream("POST", "/v1/chat/completions", json=BODY | {"stream": True}) as reply,
    ):
        next(line for line in reply.iter_lines() if '"x' in line)  # it has begun
    wait_for(lambda: let_one_through(backend) or is_freed(backend))


def test_leaving_before_the_first_token_frees_the_sequence(backend: FakeBackend, url: str) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 3000)
    backend.gate = threading.Semaphore(0)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{url}/v1/chat/completions", json=BODY | {"stream": True}, timeout=LEAVING
        ).read()
    wait_for(lambda: let_one_through(backend) or is_freed(backend))
    assert backend.samplers[0].position < 3000


def test_leaving_a_plain_request_frees_the_sequence(backend: FakeBackend, url: str) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 3000)
    backend.gate = threading.Semaphore(3)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/chat/completions", json=BODY, timeout=LEAVING)
    wait_for(lambda: let_one_through(backend) or is_freed(backend))
    assert backend.samplers[0].position < 3000


def test_leaving_an_embedding_frees_the_sequence(
    backend: FakeBackend, services: Services, url: str
) -> None:
    backend.gate = threading.Semaphore(1)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/embeddings", json={"input": "x" * 4000}, timeout=LEAVING)
    wait_for(lambda: let_one_through(backend) or not services.engine.num_running)
    num_decoded = sum(len(span.token_ids) for batch in backend.batches for span in batch)
    assert num_decoded < 4000


def test_the_server_serves_on_after_clients_left(backend: FakeBackend, url: str) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda _prompt: [*spell("\nok"), EOS]
    for _ in range(5):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/chat/completions", json=BODY, timeout=LEAVING)
    backend.gate.release(10_000)
    reply = httpx.post(f"{url}/v1/chat/completions", json=BODY, timeout=SECONDS)
    assert reply.json()["choices"][0]["message"]["content"] == "ok"


def test_closing_the_engine_ends_open_streams(
    backend: FakeBackend, url: str, services: Services
) -> None:
    backend.reply_for = lambda _prompt: spell("\n" + "x" * 3000)
    backend.gate = threading.Semaphore(5)
    with (
        httpx.Client(base_url=url, timeout=SECONDS) as client,
        client.stream("POST", "/v1/chat/completions", json=BODY | {"stream": True}) as reply,
    ):
        lines = reply.iter_lines()
        next(lines)
        services.engine.request_close()
        backend.gate.release(10)
        rest = list(lines)
    assert "server_shutting_down" in "".join(rest)
    assert "[DONE]" not in "".join(rest)
