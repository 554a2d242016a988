"""Threads that parse and prepare requests, also for clients that leave."""

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from glm3edge.limits import MAX_PREPARED
from glm3edge.schema.tokenize import TokenizeRequest
from glm3edge.server import threads
from glm3edge.server.threads import in_thread
from glm3edge.serving.tokenization import TokenizationService
from tests.support.raw_client import connect, read_response
from tests.support.waiting import SECONDS, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def begun() -> list[str]:
    """Texts whose tokenization has begun."""
    return []


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, begun: list[str]) -> Iterator[threading.Event]:
    """What tokenization waits for."""
    gate, tokenize = threading.Event(), TokenizationService.tokenize

    def wait(service: TokenizationService, request: TokenizeRequest) -> bytes:
        begun.append(request.content)
        gate.wait(SECONDS)
        return tokenize(service, request)

    monkeypatch.setattr(TokenizationService, "tokenize", wait)
    yield gate
    gate.set()


def ask(url: str, text: str) -> socket.socket:
    body = json.dumps({"content": text}).encode()
    head = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    sock = connect(url)
    sock.sendall(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    return sock


def ask_as_many_as_may(url: str, begun: list[str], stack: ExitStack) -> list[socket.socket]:
    """Requests that take all threads there are."""
    socks = []
    for number in range(MAX_PREPARED):  # one after another: parsing takes a thread, too
        socks.append(stack.enter_context(ask(url, f"busy {number}")))
        wait_for(lambda: len(begun) == len(socks))
    return socks


def num_waiting() -> int:
    return threads._LIMITER.statistics().tasks_waiting


def test_what_waits_for_a_client_that_left_never_begins(
    url: str, begun: list[str], gate: threading.Event
) -> None:
    """It used to be computed in the end, and its text was kept until then."""
    with ExitStack() as stack:
        busy = ask_as_many_as_may(url, begun, stack)
        with ask(url, "left"):
            wait_for(lambda: num_waiting() == 1)
        wait_for(lambda: num_waiting() == 0)
        gate.set()
        assert [read_response(sock) for sock in busy] == [200] * MAX_PREPARED
    assert begun == [f"busy {number}" for number in range(MAX_PREPARED)]


def test_what_runs_counts_until_its_end_though_it_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate, begun = threading.Event(), list[str]()

    def work(name: str) -> None:
        begun.append(name)
        gate.wait(SECONDS)
        if name == "first":
            raise ValueError("for nobody to see")

    async def main() -> None:
        running = [asyncio.create_task(in_thread(work, "first")) for _ in range(MAX_PREPARED)]
        await until(lambda: len(begun) == MAX_PREPARED)
        for task in running:
            task.cancel()
        later = asyncio.create_task(in_thread(work, "later"))
        await until(lambda: num_waiting() == 1)
        gate.set()
        await asyncio.wait([later, *running])
        assert all(task.cancelled() for task in running)

    asyncio.run(main())
    gc.collect()
    assert begun == [*["first"] * MAX_PREPARED, "later"]
    assert not caplog.records


def test_so_many_work_at_once() -> None:
    """No fewer, or none would pass the barrier, and no more."""
    barrier = threading.Barrier(MAX_PREPARED)
    running: set[int] = set()
    counts: list[int] = []

    def work(number: int) -> int:
        running.add(number)
        counts.append(len(running))
        barrier.wait(SECONDS)
        running.discard(number)
        return number

    async def main() -> list[int]:
        return await asyncio.gather(*(in_thread(work, n) for n in range(5 * MAX_PREPARED)))

    assert asyncio.run(main()) == list(range(5 * MAX_PREPARED))
    assert max(counts) == MAX_PREPARED


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
