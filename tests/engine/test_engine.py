import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from glm3edge.core import (
    FinishReason,
    GenerationFinished,
    Priority,
    Span,
    TokenLogprobs,
)
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.disk_cache import DiskCache
from glm3edge.engine.embedding import Embedding, EmbeddingEvent
from glm3edge.engine.engine import Engine
from glm3edge.errors import (
    DecodeAbortedError,
    DecodeError,
    EngineClosedError,
    EngineError,
    QueueFullError,
    TimeoutExceededError,
)
from tests.support.engine_client import WAIT_SECONDS, Client, until
from tests.support.fakes import ASSISTANT, EOS, FakeBackend, spell


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def engine(backend: FakeBackend) -> Iterator[Engine]:
    engine = Engine(backend, max_running=2, use_drafts=False)
    engine.start()
    yield engine
    engine.close()
    assert engine.num_running == engine.num_waiting == 0
    assert all(sampler.is_closed for sampler in backend.samplers)


@pytest.fixture
def client(engine: Engine) -> Client:
    return Client(engine)


def _num_tokens(batch: Sequence[Span]) -> int:
    return sum(len(span.token_ids) for span in batch)


class FlatTiming(BatchTiming):
    """Every batch takes as long as any other: drafts cost nothing."""

    def seconds(self, num_tokens: int) -> float:
        return 1.0


def say(text: str) -> Callable[[Sequence[int]], list[int]]:
    return lambda _prompt: [*spell(text), EOS]


def test_a_reply_ends_at_a_stop_token(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("你好!")
    events = client.generate().all()
    assert "".join(event.text for event in events) == "你好!"
    assert [event.token_id for event in events[:-1]] == spell("你好!")
    assert events[-1] == GenerationFinished(
        FinishReason.STOP, num_completion_tokens=8, text="", stop_token_id=EOS
    )


def test_no_event_has_half_a_character(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("好")
    assert [event.text for event in client.generate().all()] == ["", "", "好", ""]


def test_a_cut_reply_ends_by_length(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("好好")
    listener = client.generate(max_new_tokens=4)
    events = listener.all()
    assert events[-1] == GenerationFinished(
        FinishReason.LENGTH, num_completion_tokens=4, text="\ufffd"
    )
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


def test_a_decode_error_ends_its_batch_and_the_engine_goes_on(
    backend: FakeBackend, client: Client
) -> None:
    def fail(_spans: Sequence[Span]) -> None:
        backend.fail_decode = None
        raise DecodeError(-3)

    backend.reply_for = say("fine")
    backend.fail_decode = fail
    end = client.generate().end()
    assert end.reason is FinishReason.ERROR
    assert isinstance(end.error, DecodeError)
    assert end.error.code == -3
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


def test_a_second_turn_computes_what_is_new(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("reply")
    first = client.generate("question ").end()
    second = client.generate("question reply and more").end()
    assert (first.num_cached_tokens, second.num_cached_tokens) == (0, len("question reply"))
    num_tokens = sum(len(span.token_ids) for batch in backend.batches for span in batch)
    assert num_tokens == len("question reply") + len(" and more") + len("reply")


def test_a_restart_does_not_lose_what_was_computed(tmp_path: Path) -> None:
    num_tokens = []
    for _ in range(2):
        backend = FakeBackend(reply_for=say("reply"))
        disk = DiskCache(tmp_path, key="model", max_bytes=2**20)
        engine = Engine(backend, disk=disk, use_drafts=False)
        engine.start()
        end = Client(engine).generate("question " * 10).end()
        num_tokens.append((end.num_cached_tokens, sum(map(_num_tokens, backend.batches))))
        engine.close()
        disk.close()
    assert num_tokens == [(0, 95), (89, 1 + 5)]


def test_a_state_that_the_backend_refuses_is_computed(tmp_path: Path) -> None:
    for takes_states in (True, False):
        backend = FakeBackend(reply_for=say("reply"), takes_states=takes_states)
        disk = DiskCache(tmp_path, key="model", max_bytes=2**20)
        engine = Engine(backend, disk=disk, use_drafts=False)
        engine.start()
        assert Client(engine).generate("question " * 10).text() == "reply"
        engine.close()
        disk.close()
    assert sum(map(_num_tokens, backend.batches)) == 95


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


def test_what_is_evicted_is_kept_on_disk(tmp_path: Path) -> None:
    backend = FakeBackend(reply_for=say("ok"), context_size=200)
    disk = DiskCache(tmp_path, key="model", max_bytes=2**20)
    engine = Engine(backend, disk=disk, use_drafts=False)
    engine.start()
    client = Client(engine)
    texts = ["a" * 120, "b" * 120]
    for text in texts * 2:
        assert client.generate(text, max_new_tokens=20).text() == "ok"
    assert client.generate(texts[0], max_new_tokens=20).end().num_cached_tokens == 119
    engine.close()
    disk.close()


def test_adapters_share_no_batch_and_no_prefix(backend: FakeBackend) -> None:
    backend.reply_for = say("a reply of some length")
    engine = Engine(backend, max_running=3, use_drafts=False)
    engine.start()
    client = Client(engine)
    prompt = "the same prompt for all, and longer than thirty-two tokens"
    for expected in (0, len(prompt) - 1):
        listeners = [client.generate(prompt, adapter=number) for number in (0, 1, 2)]
        vector = client.embed(prompt)
        for listener in listeners:
            events = listener.all()
            assert "".join(event.text for event in events) == "a reply of some length"
            assert events[-1].num_cached_tokens == expected
        assert vector.end().reason is FinishReason.STOP
    engine.close()
    assert {0, 1, 2} == set(backend.adapters)  # the backend fails where they would mix


def test_adapters_take_turns_that_are_not_measured() -> None:
    """A batch after a change of adapters takes longer than others of its size."""
    seen = []

    class Measured(BatchTiming):
        def observe(self, num_tokens: int, seconds: float) -> None:
            seen.append(num_tokens)
            super().observe(num_tokens, 1.0)

    backend = FakeBackend(reply_for=say("abcd"))
    engine = Engine(backend, use_drafts=False, batch_timing=Measured())
    engine.start()
    client = Client(engine)
    backend.gate = threading.Semaphore(0)
    listeners = [client.generate(f"{number}", adapter=number) for number in (0, 1)]
    backend.gate.release(1000)
    assert [listener.text() for listener in listeners] == ["abcd", "abcd"]
    engine.close()
    num_changes = sum(
        a != b for a, b in zip([0, *backend.adapters], backend.adapters, strict=False)
    )
    assert num_changes > 2
    assert len(seen) == len(backend.batches) - num_changes


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


def test_a_restart_finds_what_each_adapter_computed(tmp_path: Path) -> None:
    cached = []
    for _ in range(2):
        backend = FakeBackend(reply_for=say("reply"))
        disk = DiskCache(tmp_path, key="model", max_bytes=2**20, adapter_keys=["poet", "clerk"])
        engine = Engine(backend, disk=disk, use_drafts=False)
        engine.start()
        client = Client(engine)
        ends = [client.generate("question " * 10, adapter=number).end() for number in (0, 1)]
        cached.append([end.num_cached_tokens for end in ends])
        if len(cached) == 2:
            assert client.generate("question " * 10, adapter=2).end().num_cached_tokens == 0
        engine.close()
        disk.close()
    assert cached == [[0, 0], [89, 89]]


def test_the_same_prompt_at_the_same_time_is_computed_once(
    backend: FakeBackend, client: Client
) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = say("ok")
    prompt = "x" * 60
    listeners = [client.generate(prompt), client.generate(prompt)]
    backend.gate.release(100)
    assert [listener.text() for listener in listeners] == ["ok", "ok"]
    num_tokens = sum(len(span.token_ids) for batch in backend.batches for span in batch)
    assert num_tokens == len(prompt) + 1 + 2 * len("ok")


def test_where_memory_is_short_the_youngest_yields_and_goes_on(backend: FakeBackend) -> None:
    backend.context_size = 200
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda prompt: [*list(prompt) * 12, EOS]
    engine = Engine(backend, max_running=4, use_drafts=False)
    engine.start()
    client = Client(engine)
    prompts = ["first 123", "second 12", "third 123", "fourth 12"]
    listeners = [client.generate(prompt, max_new_tokens=180) for prompt in prompts]
    backend.gate.release(10_000)
    assert [listener.text() for listener in listeners] == [prompt * 12 for prompt in prompts]
    engine.close()
    assert len(backend.samplers) == 4
    starts = [span.position for batch in backend.batches for span in batch if span.position == 0]
    assert len(starts) >= 4


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
    with pytest.raises(QueueFullError, match="no more may; try again in") as caught:
        client.generate()
    assert 1 <= caught.value.retry_after <= 60
    with pytest.raises(QueueFullError):
        engine.check_capacity()
    backend.gate.release(100)
    assert [listener.text() for listener in listeners] == ["x"] * 3
    assert client.generate().text() == "x"
    engine.close()


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
        num_tokens = sum(map(_num_tokens, backend.batches))
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


def test_an_embedding_is_the_normalized_mean(backend: FakeBackend, client: Client) -> None:
    event = client.embed("a" * 40 + "c" * 40, num_skipped=40).end()
    assert isinstance(event, EmbeddingEvent)
    assert event.vector is not None
    mean = np.full(4, spell("c")[0]) + np.arange(4)
    np.testing.assert_allclose(event.vector, mean / np.linalg.norm(mean), rtol=1e-6)
    assert event.vector.dtype == np.float32


def test_embeddings_and_replies_do_not_share_a_batch(backend: FakeBackend, client: Client) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda prompt: [*prompt, EOS]
    listeners = [client.generate("one"), client.embed("two"), client.generate("three")]
    backend.gate.release(100)
    assert listeners[0].text() == "one"
    assert listeners[1].end().reason is FinishReason.STOP
    assert listeners[2].text() == "three"
    for batch in backend.batches:
        assert len(batch) == 1 or spell("two") not in [list(span.token_ids) for span in batch]


def test_empty_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Embedding([], lambda _event: None)
    with pytest.raises(ValueError, match="no tokens are left"):
        Embedding([1, 2], lambda _event: None, num_skipped=2)


def test_what_may_outgrow_the_context_is_refused(client: Client, backend: FakeBackend) -> None:
    """It would wait for room for ever."""
    with pytest.raises(ValueError, match="does not fit"):
        client.generate("x" * 100, max_new_tokens=backend.context_size - 99)
