"""The steps of continuous batching, one at a time and without a thread."""

from typing import Any

import pytest

from glm3edge.core import FinishReason, GenerationFinished, Priority, TokenEvent
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.engine_core import EngineCore
from glm3edge.engine.outbox import Outbox
from glm3edge.engine.request import GenerationRequest
from glm3edge.engine.sequence import Generation
from glm3edge.errors import DecodeError, EngineLostError, TimeoutExceededError
from tests.support.fakes import EOS, FakeBackend, say, spell


class Replies:
    """A core, and the events of the sequences that are added to it."""

    def __init__(self, core: EngineCore) -> None:
        self.core = core
        self.events: dict[str, list[Any]] = {}

    def add(self, prompt: str, **options: Any) -> Generation:
        events = self.events[prompt] = []
        defaults: dict[str, Any] = {"max_new_tokens": 100, "stop_token_ids": frozenset({EOS})}
        request = GenerationRequest(prompt_ids=spell(prompt), **(defaults | options))
        sequence = Generation(request, events.append)
        self.core.scheduler.add(sequence)
        return sequence

    def text(self, prompt: str) -> str:
        return "".join(event.text for event in self.events[prompt])


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(reply_for=say("reply"))


def make_core(backend: FakeBackend, **options: Any) -> EngineCore:
    batch_timing = BatchTiming()
    defaults: dict[str, Any] = {"max_running": 2, "use_drafts": False}
    return EngineCore(backend, Outbox(batch_timing), batch_timing, **(defaults | options))


@pytest.fixture
def replies(backend: FakeBackend) -> Replies:
    return Replies(make_core(backend))


def test_a_step_gives_each_running_sequence_a_token(replies: Replies) -> None:
    replies.add("one")
    replies.core.step()
    replies.add("two")
    replies.core.step()
    assert (replies.text("one"), replies.text("two")) == ("re", "r")
    for _ in range(5):
        replies.core.step()
    assert (replies.text("one"), replies.text("two")) == ("reply", "reply")
    assert replies.core.sequences == []
    assert replies.core.stats.endings == {FinishReason.STOP: 2}
    assert replies.core.stats.num_completion_tokens == 2 * len("reply.")


def test_without_sequences_a_step_does_nothing(replies: Replies, backend: FakeBackend) -> None:
    replies.core.step()
    assert backend.batches == []


def test_a_cancelled_sequence_ends_before_the_next_batch(
    replies: Replies, backend: FakeBackend
) -> None:
    running, waiting = replies.add("running"), replies.add("waiting")
    replies.core.step()
    running.cancelled = waiting.cancelled = True
    replies.core.any_cancelled = True
    replies.core.step()
    assert len(backend.batches) == 1
    for prompt in ("running", "waiting"):
        assert replies.events[prompt][-1].reason is FinishReason.CANCELLED
    assert all(sampler.is_closed for sampler in backend.samplers)
    assert replies.core.kv_cache.num_busy_slots == 0


def test_a_late_sequence_ends_with_a_timeout(backend: FakeBackend) -> None:
    replies = Replies(make_core(backend, timeout=30))
    replies.add("late").deadline = 0.0
    replies.core.step()
    (ending,) = replies.events["late"]
    assert isinstance(ending.error, TimeoutExceededError)


def test_failures_in_a_row_are_counted(replies: Replies, backend: FakeBackend) -> None:
    def fail(_spans: object) -> None:
        raise DecodeError(-3)

    backend.fail_decode = fail
    counts = []
    for number in range(3):
        replies.add(f"{number}")
        replies.core.step()
        assert isinstance(replies.events[f"{number}"][-1].error, DecodeError)
        counts.append(replies.core.num_failures)
    backend.fail_decode = None
    replies.add("fine")
    replies.core.step()
    assert [*counts, replies.core.num_failures] == [1, 2, 3, 0]


def test_a_reset_ends_what_has_run_and_keeps_what_waits(
    replies: Replies, backend: FakeBackend
) -> None:
    """A preempted sequence has run: its sampler is lost with the backend."""
    replies.add("job 1", priority=Priority.BACKGROUND)
    replies.add("job 2", priority=Priority.BACKGROUND)
    replies.core.step()
    replies.add("now")
    replies.core.step()
    assert [len(batch) for batch in backend.batches] == [2, 2]
    waiting = replies.add("waiting", priority=Priority.BACKGROUND)
    error = EngineLostError("the cable is out")
    replies.core.reset(error)
    for prompt in ("job 1", "job 2", "now"):
        assert replies.events[prompt][-1].error is error
    assert replies.core.sequences == [waiting]
    assert replies.core.kv_cache.num_free == backend.context_size


def test_a_lost_backend_is_the_callers(replies: Replies, backend: FakeBackend) -> None:
    def lose(_spans: object) -> None:
        raise EngineLostError("the cable is out")

    backend.fail_decode = lose
    sequence = replies.add("one")
    with pytest.raises(EngineLostError):
        replies.core.step()
    assert replies.core.sequences == [sequence]
    assert replies.events["one"] == []


def test_endings_from_outside_are_emitted_and_counted(replies: Replies) -> None:
    replies.add("one")
    replies.add("two")
    replies.core.step()
    replies.core.end(replies.core.sequences, FinishReason.CANCELLED)
    for prompt in ("one", "two"):
        token, ending = replies.events[prompt]
        assert isinstance(token, TokenEvent)
        assert isinstance(ending, GenerationFinished)
    assert replies.core.stats.endings == {FinishReason.CANCELLED: 2}


def test_determinism_needs_one_sequence_at_a_time(backend: FakeBackend) -> None:
    core = make_core(backend, max_running=4, deterministic=True)
    assert core.max_running == 1
