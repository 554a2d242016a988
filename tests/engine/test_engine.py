"""Replies of an engine over a scripted backend."""

import threading
from collections.abc import Callable, Sequence

import pytest

from glm3edge.core import (
    FinishReason,
    GenerationFinished,
    Priority,
    Span,
    TokenLogprobs,
)
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.engine import Engine
from glm3edge.engine.sequence import EngineSequence
from glm3edge.errors import (
    DecodeAbortedError,
    DecodeError,
    EngineClosedError,
    EngineError,
    QueueFullError,
    TimeoutExceededError,
)
from tests.support.engine_client import WAIT_SECONDS, Client, until
from tests.support.fakes import ASSISTANT, EOS, FakeBackend, say, spell


def test_a_reply_ends_at_a_stop_token(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("你好!")
    events = client.generate().all()
    assert "".join(event.text for event in events) == "你好!"
    assert [event.token_id for event in events[:-1]] == spell("你好!")
    assert events[-1] == GenerationFinished(
        FinishReason.STOP, num_completion_tokens=8, text="", stop_token_id=EOS
    )


def test_a_reply_tells_how_long_it_took(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("你好!")
    end = client.generate().end()
    assert end.prefill_seconds > 0
    assert end.decode_seconds > 0


def test_no_event_has_half_a_character(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("好")
    assert [event.text for event in client.generate().all()] == ["", "", "好", ""]


def test_a_cut_reply_ends_by_length(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("好好")
    listener = client.generate(max_new_tokens=4)
    events = listener.all()
    assert events[-1] == GenerationFinished(FinishReason.LENGTH, num_completion_tokens=4, text="")
    assert "".join(event.text for event in events) == "好"  # without the half of the other
    assert [event.text for event in events[:-1]] == ["", "", "好", ""]
    listener.assert_no_more()


def test_a_stop_string_across_tokens_is_not_part_of_the_reply(
    backend: FakeBackend, client: Client
) -> None:
    backend.reply_for = say("one END two")
    listener = client.generate(stop_strings=("END",))
    events = listener.all()
    assert "".join(event.text for event in events) == "one "
    assert (events[-1].reason, events[-1].stop_string) == (FinishReason.STOP, "END")
    listener.assert_no_more()


def test_text_held_back_for_a_stop_string_comes_out(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("the EN")
    assert client.generate(stop_strings=("END",)).text() == "the EN"


def test_control_tokens_are_no_text_to_stop_strings(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = lambda _prompt: [*spell("aEN"), ASSISTANT, *spell("D"), EOS]
    events = client.generate(stop_strings=("END",)).all()
    assert "".join(event.text for event in events) == "a"
    assert (events[-1].reason, events[-1].stop_string) == (FinishReason.STOP, "END")


def test_a_long_prompt_is_decoded_in_batches(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("ok")
    assert client.generate("x" * 40).text() == "ok"
    sizes = [[len(span.token_ids) for span in batch] for batch in backend.batches]
    assert sizes == [[16], [16], [8], [1], [1]]
    assert [batch[0].wants_output for batch in backend.batches] == [False, False, True, True, True]


def test_two_replies_share_batches(backend: FakeBackend, client: Client) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda prompt: [*prompt, EOS]
    first, second = client.generate("abc"), client.generate("12345")
    backend.gate.release(100)
    assert (first.text(), second.text()) == ("abc", "12345")
    assert any(len(batch) == 2 for batch in backend.batches)


def test_more_requests_than_slots_wait_their_turn(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = lambda prompt: [*prompt, EOS]
    listeners = [client.generate(f"request {number}") for number in range(20)]
    assert [listener.text() for listener in listeners] == [f"request {n}" for n in range(20)]


def test_cancel_frees_a_running_sequence(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 1000)
    backend.gate = threading.Semaphore(3)
    listener = client.generate(max_new_tokens=1000)
    listener.next()
    listener.cancel()
    backend.gate.release(2)
    assert listener.end().reason is FinishReason.CANCELLED
    listener.cancel()
    listener.assert_no_more()
    assert backend.samplers[0].is_closed


def test_cancel_ends_a_waiting_sequence(backend: FakeBackend, client: Client) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = say("x")
    running = [client.generate(), client.generate()]
    waiting = client.generate()
    waiting.cancel()
    backend.gate.release(100)
    assert waiting.all() == [GenerationFinished(FinishReason.CANCELLED, num_completion_tokens=0)]
    assert [listener.text() for listener in running] == ["x", "x"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(DecodeError(-3), "llama_decode returned -3"), (MemoryError(), "not enough memory")],
)
def test_an_error_ends_its_batch_and_the_engine_goes_on(
    backend: FakeBackend, client: Client, error: Exception, reason: str
) -> None:
    def fail(_spans: Sequence[Span]) -> None:
        backend.fail_decode = None
        raise error

    backend.reply_for = say("fine")
    backend.fail_decode = fail
    end = client.generate().end()
    assert end.reason is FinishReason.ERROR
    assert isinstance(end.error, EngineError)
    assert reason in str(end.error)
    assert client.generate().text() == "fine"


def test_one_sequence_failing_leaves_the_other(backend: FakeBackend, client: Client) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda prompt: [] if prompt == spell("bad") else [*prompt, EOS]
    bad, good = client.generate("bad"), client.generate("good")
    backend.gate.release(100)
    assert isinstance(bad.end().error, EngineError)
    assert good.text() == "good"


def test_close_ends_everything_once(backend: FakeBackend, engine: Engine, client: Client) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda _prompt: spell("x" * 1000)
    listeners = [client.generate(max_new_tokens=1000) for _ in range(5)]
    engine.request_close()
    backend.gate.release(100)
    engine.close()
    engine.close()
    for listener in listeners:
        assert isinstance(listener.end().error, EngineClosedError)
        listener.assert_no_more()
    assert not engine.is_running
    with pytest.raises(EngineClosedError):
        client.generate()


def test_events_of_a_step_are_posted_together(backend: FakeBackend) -> None:
    posted: list[Callable[[], None]] = []
    engine = Engine(backend, max_running=2, use_drafts=False)
    backend.gate = threading.Semaphore(0)
    backend.reply_for = say("x")
    engine.start(post=posted.append)
    listeners = [Client(engine).generate(), Client(engine).generate()]
    backend.gate.release(100)
    until(lambda: len(posted) >= len(backend.batches) >= 2)
    engine.close()
    for deliver in posted:
        deliver()
    assert [listener.text() for listener in listeners] == ["x", "x"]
    assert len(posted) <= len(backend.batches)


def test_a_gone_event_loop_does_not_stop_the_engine(
    backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    def post(_deliver: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    engine = Engine(backend, use_drafts=False)
    engine.start(post)
    Client(engine).generate()
    Client(engine).generate()
    until(lambda: len(backend.samplers) >= 2 and not engine.num_running)
    assert engine.is_running
    engine.close()
    assert "nobody is left" in caplog.text


@pytest.mark.parametrize(
    ("seconds_per_batch", "num_posts"),
    [
        (0.0, 2),  # the first token, and all others with the ending
        (3600.0, 7),  # batches that are too long to wait for: a post each
    ],
)
def test_tokens_wait_for_others_as_long_as_they_may(
    seconds_per_batch: float, num_posts: int
) -> None:
    batch_timing = BatchTiming()
    batch_timing.observe(1, seconds_per_batch or 1e-9)
    engine = Engine(
        FakeBackend(reply_for=say("abcdef")),
        use_drafts=False,
        batch_timing=batch_timing,
        coalesce_seconds=60,
    )
    num_delivered = []

    def post(deliver: Callable[[], None]) -> None:
        num_delivered.append(1)
        deliver()

    engine.start(post)
    events = Client(engine).generate("x").all()
    engine.close()
    assert [event.text for event in events] == [*"abcdef", ""]
    assert len(num_delivered) == num_posts


def test_an_interactive_request_takes_the_place_of_a_background_one(
    backend: FakeBackend, client: Client
) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda prompt: [*list(prompt) * 20, EOS]
    jobs = [client.generate(text, priority=Priority.BACKGROUND) for text in ("job 1", "job 2")]
    backend.gate.release(3)
    begun = jobs[0].next().text
    now = client.generate("now")
    backend.gate.release(10_000)
    assert now.text() == "now" * 20
    assert begun + jobs[0].text() == "job 1" * 20
    assert jobs[1].text() == "job 2" * 20
    order = [bytes(i - 3 for i in span.token_ids) for batch in backend.batches for span in batch]
    assert order.index(b"now") < 10


def test_a_full_queue_refuses(backend: FakeBackend) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = say("x")
    engine = Engine(backend, max_running=1, max_waiting=2)
    engine.start()
    client = Client(engine)
    listeners = [client.generate() for _ in range(3)]
    with pytest.raises(
        QueueFullError, match="full, with 2 requests waiting; try again in"
    ) as caught:
        client.generate()
    assert 1 <= caught.value.retry_after <= 60
    with pytest.raises(QueueFullError):
        engine.check_capacity()
    backend.gate.release(100)
    assert [listener.text() for listener in listeners] == ["x"] * 3
    assert client.generate().text() == "x"
    engine.close()


def test_a_sequence_on_its_way_out_of_the_queue_counts(backend: FakeBackend) -> None:
    """For a moment it was neither among the waiting nor among the running ones."""
    engine = Engine(backend, max_running=1, max_waiting=0)
    core = engine._core
    refusals: list[bool] = []

    class Queue(list[EngineSequence]):
        def remove(self, sequence: EngineSequence) -> None:
            super().remove(sequence)
            with pytest.raises(QueueFullError):
                engine.check_capacity()
            refusals.append(True)

    core.scheduler.waiting = Queue()
    Client(engine).generate()
    engine._drain_inbox()
    core.step()
    assert refusals == [True]


def test_each_token_can_tell_how_likely_it_was(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("ab")
    first, _, end = client.generate(num_logprobs=2).all()
    assert first.logprobs == TokenLogprobs(-1.0, ((100, -1.0), (101, -2.0)))
    assert end.reason is FinishReason.STOP
    assert client.generate().next().logprobs is None


def test_a_cancelled_request_stops_the_batch_it_is_in(backend: FakeBackend, client: Client) -> None:
    """As a long prompt takes seconds: the others in its batch go on as if it had not been."""
    started, go = threading.Event(), threading.Event()

    def wait_for_abort(spans: Sequence[Span]) -> None:
        if any(len(span.token_ids) > 2 for span in spans):
            started.set()
            go.wait(WAIT_SECONDS)
            if backend.num_aborts:
                backend.fail_decode = None
                raise DecodeAbortedError(2)

    backend.reply_for = lambda prompt: [*list(prompt)[:2] * 10, EOS]
    backend.fail_decode = wait_for_abort
    backend.gate = threading.Semaphore(2)
    other = client.generate("ab")
    assert other.next().text == "a"
    long = client.generate("long" * 20)
    backend.gate.release(1000)
    assert started.wait(WAIT_SECONDS)
    long.cancel()
    go.set()
    assert long.end().reason is FinishReason.CANCELLED
    assert other.text() == ("ab" * 10)[1:]
    assert backend.num_aborts == 1


def test_a_request_that_takes_too_long_ends_with_an_error(backend: FakeBackend) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = say("x" * 100)
    engine = Engine(backend, max_running=1, timeout=0.05)
    engine.start()
    listeners = [Client(engine).generate(), Client(engine).generate()]
    threading.Event().wait(0.1)
    backend.gate.release(1000)
    for listener in listeners:
        assert isinstance(listener.end().error, TimeoutExceededError)
        listener.assert_no_more()
    backend.reply_for = say("ok")
    until(lambda: Client(engine).generate().text() == "ok")  # at once, unless the machine is busy
    engine.close()


def test_an_engine_whose_batches_all_fail_is_not_healthy(backend: FakeBackend) -> None:
    def fail(_spans: Sequence[Span]) -> None:
        raise DecodeError(-3)

    engine = Engine(backend)
    engine.start()
    health = [engine.is_healthy]
    backend.fail_decode = fail
    for _ in range(3):
        assert Client(engine).generate().end().reason is FinishReason.ERROR
        health.append(engine.is_healthy)
    backend.fail_decode = None
    assert Client(engine).generate().end().reason is FinishReason.STOP
    health.append(engine.is_healthy)
    engine.close()
    assert health == [True, True, True, False, True]


def test_a_deterministic_engine_computes_the_same_batches_each_time(
    backend: FakeBackend,
) -> None:
    backend.reply_for = say("the reply, the reply")
    engine = Engine(backend, max_running=4, deterministic=True)
    engine.start()
    client = Client(engine)
    prompt = "p" * 40  # two whole batches of 16, and 8
    shapes = []
    for other in ("", "p" * 20, prompt + "the reply", "q" * 50):
        if other:
            client.generate(other, priority=Priority.BACKGROUND).end()
        backend.batches.clear()
        end = client.generate(prompt).end()
        shapes.append([(span.position, len(span.token_ids)) for [span] in backend.batches])
        assert end.num_cached_tokens % 16 == 0
        assert not end.num_accepted_drafts
    engine.close()
    cold = shapes[0]
    assert cold[:4] == [(0, 16), (16, 16), (32, 8), (40, 1)]
    for shape in shapes[1:]:
        assert shape == cold[len(cold) - len(shape) :]
    assert [len(cold) - len(shape) for shape in shapes] == [0, 1, 2, 0]


def test_what_may_outgrow_the_context_is_refused(client: Client, backend: FakeBackend) -> None:
    """It would wait for room for ever."""
    with pytest.raises(ValueError, match="does not fit"):
        client.generate("x" * 100, max_new_tokens=backend.context_size - 99)
