"""Which events are posted at once, and which wait for others."""

from collections.abc import Callable
from typing import Any

import pytest

from glm3edge.core import (
    FinishReason,
    GenerationFinished,
    ProgressEvent,
    TokenEvent,
)
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.outbox import Outbox
from glm3edge.engine.request import GenerationRequest
from glm3edge.engine.sequence import Generation

TOKEN = TokenEvent(1, "a")
PROGRESS = ProgressEvent(num_tokens=9, num_cached=0, num_processed=3, seconds=0.1)
FINISHED = GenerationFinished(FinishReason.STOP, num_completion_tokens=1)
LONG = 3600.0


class Receiver:
    """Posts and the events that they deliver."""

    def __init__(self) -> None:
        self.num_posts = 0
        self.events: list[Any] = []

    def post(self, deliver: Callable[[], None]) -> None:
        self.num_posts += 1
        deliver()

    def sequence(self) -> Generation:
        request = GenerationRequest(prompt_ids=[1], max_new_tokens=9)
        return Generation(request, self.events.append)

    def outbox(self, *, coalesce_seconds: float = 0.0, batch_seconds: float = 0.0) -> Outbox:
        batch_timing = BatchTiming()
        if batch_seconds:
            batch_timing.observe(1, batch_seconds)
        outbox = Outbox(batch_timing, coalesce_seconds=coalesce_seconds)
        outbox.post = self.post
        return outbox


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def test_events_of_all_sequences_are_posted_together(receiver: Receiver) -> None:
    first, second = receiver.sequence(), receiver.sequence()
    receiver.outbox().add([(first, TOKEN), (second, TOKEN), (second, FINISHED)])
    assert receiver.num_posts == 1
    assert receiver.events == [TOKEN, TOKEN, FINISHED]


def test_each_event_goes_to_the_sink_of_its_sequence(receiver: Receiver) -> None:
    other = Receiver()
    receiver.outbox().add([(receiver.sequence(), TOKEN), (other.sequence(), FINISHED)])
    assert (receiver.events, other.events) == ([TOKEN], [FINISHED])


def test_nothing_is_posted_for_no_events(receiver: Receiver) -> None:
    outbox = receiver.outbox()
    outbox.add([])
    outbox.flush()
    outbox.flush_before(1)
    assert receiver.num_posts == 0


@pytest.mark.parametrize(
    ("event", "has_emitted", "is_urgent"),
    [
        (TOKEN, False, True),  # the first token
        (TOKEN, True, False),
        (PROGRESS, False, True),
        (PROGRESS, True, True),
        (FINISHED, False, True),
        (FINISHED, True, True),
    ],
)
def test_only_tokens_after_the_first_wait(
    receiver: Receiver, event: Any, has_emitted: bool, is_urgent: bool
) -> None:
    sequence = receiver.sequence()
    sequence.has_emitted = has_emitted
    outbox = receiver.outbox(coalesce_seconds=LONG)
    outbox.add([(sequence, event)])
    assert receiver.events == ([event] if is_urgent else [])
    outbox.flush()
    assert receiver.events == [event]


def test_the_first_token_after_progress_does_not_wait(receiver: Receiver) -> None:
    sequence = receiver.sequence()
    outbox = receiver.outbox(coalesce_seconds=LONG)
    for event in (PROGRESS, TOKEN, TOKEN):
        outbox.add([(sequence, event)])
    assert receiver.events == [PROGRESS, TOKEN]


def test_an_urgent_event_takes_those_that_wait_along(receiver: Receiver) -> None:
    sequence = receiver.sequence()
    outbox = receiver.outbox(coalesce_seconds=LONG)
    for event in (TOKEN, TOKEN, TOKEN, FINISHED):
        outbox.add([(sequence, event)])
    assert receiver.events == [TOKEN, TOKEN, TOKEN, FINISHED]
    assert receiver.num_posts == 2


@pytest.mark.parametrize(
    ("batch_seconds", "is_posted"),
    [(1.0, False), (2 * LONG, True), (0.0, True)],  # nothing measured: it may take long
)
def test_before_a_long_batch_events_are_posted(
    receiver: Receiver, batch_seconds: float, is_posted: bool
) -> None:
    sequence = receiver.sequence()
    sequence.has_emitted = True
    outbox = receiver.outbox(coalesce_seconds=LONG, batch_seconds=batch_seconds)
    outbox.add([(sequence, TOKEN)])
    outbox.flush_before(1)
    assert (receiver.events == [TOKEN]) == is_posted


def test_a_closed_event_loop_is_a_warning(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    def post(_deliver: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    outbox = receiver.outbox()
    outbox.post = post
    outbox.add([(receiver.sequence(), FINISHED)])
    assert "nobody is left to receive 1 event(s)" in caplog.text
    outbox.post = receiver.post
    outbox.flush()
    assert receiver.events == []
