"""Texts that wait for an encoder, on the thread of a scripted engine."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import numpy as np
import pytest
from numpy.typing import NDArray

from glm3edge.engine.embedding import Vector
from glm3edge.engine.encoder_queue import EncoderQueue
from glm3edge.engine.engine import Engine
from glm3edge.engine.request import GenerationRequest
from glm3edge.engine.sequence import Generation
from glm3edge.errors import (
    DecodeError,
    EngineClosedError,
    QueueFullError,
    TimeoutExceededError,
)
from tests.support.engine_client import WAIT_SECONDS
from tests.support.fakes import EOS, FakeBackend, say


class FakeEncoder:
    """Vectors are the sums of their tokens. ``gate`` holds every batch back until released."""

    batch_size = 10
    num_sequences = 3

    def __init__(self) -> None:
        self.gate = threading.Semaphore(1000)
        self.batches: list[list[list[int]]] = []
        self.threads: set[str] = set()
        self.fails = False

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        self.batches.append([list(text) for text in texts])
        self.threads.add(threading.current_thread().name)
        self.gate.acquire(timeout=WAIT_SECONDS)
        if self.fails:
            raise DecodeError(-1)
        return np.array([[sum(text)] for text in texts], np.float32)


@pytest.fixture
def engine(backend: FakeBackend) -> Iterator[Engine]:
    engine = Engine(backend, use_drafts=False)
    yield engine
    engine.close()


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def queue(engine: Engine, encoder: FakeEncoder) -> EncoderQueue:
    return EncoderQueue(engine, encoder)


def sums(futures: list["Future[Vector]"]) -> list[float]:
    return [float(future.result(WAIT_SECONDS)[0]) for future in futures]


def test_what_waits_is_computed_together(
    engine: Engine, queue: EncoderQueue, encoder: FakeEncoder
) -> None:
    futures = [queue.submit([number]) for number in range(7)]
    engine.start()
    assert sums(futures) == [0, 1, 2, 3, 4, 5, 6]
    assert encoder.batches == [[[0], [1], [2]], [[3], [4], [5]], [[6]]]
    assert encoder.threads == {"glm3edge-engine"}


def test_a_batch_has_so_many_tokens(
    engine: Engine, queue: EncoderQueue, encoder: FakeEncoder
) -> None:
    futures = [queue.submit([1] * length) for length in (6, 4, 1, 10, 2)]
    engine.start()
    assert sums(futures) == [6, 4, 1, 10, 2]
    assert [[len(text) for text in batch] for batch in encoder.batches] == [[6, 4], [1], [10], [2]]


def test_what_is_urgent_goes_first_and_each_in_its_order(
    engine: Engine, queue: EncoderQueue, encoder: FakeEncoder
) -> None:
    futures = [queue.submit([number], is_urgent=number > 2) for number in range(6)]
    engine.start()
    assert sums(futures) == [0, 1, 2, 3, 4, 5]
    assert encoder.batches == [[[3], [4], [5]], [[0], [1], [2]]]


def test_too_many_are_refused(engine: Engine, encoder: FakeEncoder) -> None:
    queue = EncoderQueue(engine, encoder, max_waiting=2)
    futures = [queue.submit([number]) for number in range(2)]
    with pytest.raises(QueueFullError):
        queue.submit([2])
    futures.append(queue.submit([2], waits=True))
    engine.start()
    assert sums(futures) == [0, 1, 2]


def test_none_waits_longer_than_it_may(engine: Engine, encoder: FakeEncoder) -> None:
    queue = EncoderQueue(engine, encoder, timeout=0.01)
    late = queue.submit([1])
    time.sleep(0.02)
    engine.start()
    with pytest.raises(TimeoutExceededError):
        late.result(WAIT_SECONDS)
    assert not encoder.batches


def test_what_is_cancelled_is_left_out(
    engine: Engine, queue: EncoderQueue, encoder: FakeEncoder
) -> None:
    futures = [queue.submit([number]) for number in range(3)]
    assert futures[1].cancel()
    engine.start()
    assert sums([futures[0], futures[2]]) == [0, 2]
    assert encoder.batches == [[[0], [2]]]


def test_all_may_be_cancelled(engine: Engine, queue: EncoderQueue, encoder: FakeEncoder) -> None:
    assert queue.submit([1]).cancel()
    engine.start()
    assert sums([queue.submit([2])]) == [2]
    assert encoder.batches == [[[2]]]


def test_a_failure_is_that_batchs(
    engine: Engine, queue: EncoderQueue, encoder: FakeEncoder
) -> None:
    encoder.fails = True
    engine.start()
    with pytest.raises(DecodeError):
        queue.submit([1]).result(WAIT_SECONDS)
    encoder.fails = False
    assert sums([queue.submit([1])]) == [1]
    assert engine.is_healthy


def test_replies_and_texts_take_turns(
    engine: Engine, queue: EncoderQueue, encoder: FakeEncoder, backend: FakeBackend
) -> None:
    """A text at a time beside replies, whose tokens come between."""
    backend.reply_for = say("abcdefgh")
    backend.gate = threading.Semaphore(0)
    ended = threading.Event()
    request = GenerationRequest(prompt_ids=[1], max_new_tokens=20, stop_token_ids=frozenset({EOS}))
    engine.start()
    sequence = Generation(request, lambda event: ended.set() if hasattr(event, "reason") else None)
    engine.submit(sequence)
    while not engine.num_running:
        ended.wait(0.01)
    futures = [queue.submit([number]) for number in range(6)]
    backend.gate.release(100)
    assert sums(futures) == [0, 1, 2, 3, 4, 5]
    assert ended.wait(WAIT_SECONDS)
    assert [len(batch) for batch in encoder.batches] == [1] * 6


def test_closing_ends_what_waits(engine: Engine, queue: EncoderQueue, encoder: FakeEncoder) -> None:
    encoder.gate = threading.Semaphore(0)
    engine.start()
    futures = [queue.submit([number]) for number in range(8)]
    while not encoder.batches:
        futures[0].done()
    engine.request_close()
    encoder.gate.release(100)
    engine.close()
    computed = sum(len(batch) for batch in encoder.batches)
    assert sums(futures[:computed]) == list(range(computed))
    for future in futures[computed:]:
        with pytest.raises(EngineClosedError):
            future.result(WAIT_SECONDS)


def test_a_closed_engine_computes_nothing(engine: Engine, queue: EncoderQueue) -> None:
    engine.close()
    with pytest.raises(EngineClosedError):
        queue.submit([1]).result(WAIT_SECONDS)


def test_no_text_is_lost_or_mixed_up(engine: Engine, queue: EncoderQueue) -> None:
    engine.start()
    found: dict[int, float] = {}

    def ask(start: int) -> None:
        futures = {number: queue.submit([number]) for number in range(start, start + 100)}
        for number, future in futures.items():
            found[number] = float(future.result(WAIT_SECONDS)[0])

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(0, 800, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: number for number in range(800)}
