"""Speculative decoding in the engine."""

import threading

import pytest

from glm3edge.core import (
    FinishReason,
)
from glm3edge.engine.engine import Engine
from tests.support.engine_client import Client, FlatTiming, num_tokens_of
from tests.support.fakes import FakeBackend, say


def test_a_text_that_repeats_itself_takes_fewer_steps() -> None:
    reply = "the cat sat on the mat, the cat sat on the mat, the cat sat on the mat."
    steps = {}
    for use_drafts in (False, True):
        backend = FakeBackend(reply_for=say(reply), batch_size=32)
        engine = Engine(backend, use_drafts=use_drafts, batch_timing=FlatTiming())
        engine.start()
        events = Client(engine).generate("x").all()
        engine.close()
        assert [event.text for event in events] == [*reply, ""]
        end = events[-1]
        steps[use_drafts] = len(backend.batches)
        accepted, rejected = end.num_accepted_drafts, end.num_rejected_drafts
        num_tokens = sum(map(num_tokens_of, backend.batches))
        assert num_tokens == 1 + len(reply) + rejected
        assert len(backend.batches) == 1 + len(reply) - accepted
    assert steps[True] < 0.7 * steps[False]


def test_wrong_drafts_leave_nothing_in_memory() -> None:
    backend = FakeBackend(reply_for=say("ab1ab2ab3ab4 ab1ab2ab3"), batch_size=32)
    engine = Engine(backend, batch_timing=FlatTiming())
    engine.start()
    first = Client(engine).generate("x").end()
    assert first.num_rejected_drafts
    second = Client(engine).generate("xab1ab2ab3ab4 ab1ab2ab3").end()
    engine.close()
    assert second.num_cached_tokens == len("ab1ab2ab3ab4 ab1ab2ab3")


@pytest.mark.parametrize("max_new_tokens", range(1, 12))
def test_drafts_end_where_the_reply_does(max_new_tokens: int) -> None:
    backend = FakeBackend(reply_for=say("abababababab"), batch_size=32)
    engine = Engine(backend, batch_timing=FlatTiming())
    engine.start()
    events = Client(engine).generate("ab", max_new_tokens=max_new_tokens).all()
    engine.close()
    assert "".join(event.text for event in events) == "abababababab"[:max_new_tokens]
    assert events[-1].reason is FinishReason.LENGTH
    assert max(len(backend.memory[0]), 0) <= 2 + max_new_tokens


def test_adapters_and_drafts() -> None:
    """Drafts are made for the replies whose turn it is, and are right as often."""
    backend = FakeBackend(reply_for=say("ab" * 30))
    engine = Engine(backend, batch_timing=FlatTiming())
    engine.start()
    client = Client(engine)
    backend.gate = threading.Semaphore(0)
    listeners = [client.generate("ab", adapter=number) for number in (0, 1, 1)]
    backend.gate.release(1000)
    for listener in listeners:
        events = listener.all()
        assert "".join(event.text for event in events) == "ab" * 30
        assert events[-1].num_accepted_drafts > 30
    engine.close()
    assert set(backend.adapters) == {0, 1}
