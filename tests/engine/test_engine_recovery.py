"""A backend that may be lost: what runs ends, what waits is served if it comes back."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from glm3edge.core import FinishReason, GenerationFinished, Mask, ModelState, Priority, Span
from glm3edge.engine.engine import Engine
from glm3edge.errors import EngineLostError, ModelError
from tests.support.engine_client import WAIT_SECONDS, Client, until
from tests.support.fakes import EOS, FakeBackend, FakeSampler, say, spell


@dataclass
class Losable(FakeBackend):
    """A backend that is lost when a test says so, and comes back when it may."""

    is_lost: bool = False
    refusal: Exception | None = None
    num_checks: int = 0
    num_restarts: int = 0
    num_unloads: int = 0
    tried: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def lose(self, _spans: Sequence[Span] = ()) -> None:
        self.is_lost = True
        raise EngineLostError("the cable is out")

    def check(self) -> None:
        self.num_checks += 1
        if self.is_lost:
            raise EngineLostError("the cable is out")

    def restart(self) -> None:
        self.tried.release()
        if self.refusal is not None:
            raise self.refusal
        self.is_lost = False
        self.fail_decode = None
        self.memory, self.cells, self.computed_with = {}, {}, {}
        self.num_restarts += 1

    def unload(self) -> None:
        self.is_lost = True
        self.num_unloads += 1

    def truncate(self, sequence_id: int, length: int) -> None:
        if not self.is_lost:
            super().truncate(sequence_id, length)

    def state(self, sequence_id: int) -> bytes:
        self.check()
        return super().state(sequence_id)


@pytest.fixture
def backend() -> Losable:
    return Losable(reply_for=say("hello"))


@pytest.fixture
def engine(backend: Losable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr("glm3edge.engine.engine._SAVE_SECONDS", 0.02)
    for name in ("RETRY_SECONDS", "TRUST_SECONDS", "CHECK_SECONDS"):
        monkeypatch.setattr(f"glm3edge.engine.recovery.{name}", 0.02)
    engine = Engine(backend, max_running=1, use_drafts=False, recovery=backend)
    engine.start()
    yield engine
    engine.close()


def test_what_runs_ends_and_what_waits_is_served(engine: Engine, backend: Losable) -> None:
    client = Client(engine)
    assert client.generate("one").text() == "hello"
    backend.gate = threading.Semaphore(0)
    backend.fail_decode = backend.lose
    running, waiting = client.generate("one more"), client.generate("another")
    until(lambda: engine.num_running == 1)
    backend.gate.release(100)
    ending = running.end()
    assert ending.reason is FinishReason.ERROR
    assert isinstance(ending.error, EngineLostError)
    assert waiting.text() == "hello"
    until(lambda: engine.is_healthy)
    assert engine.stats.num_restarts == 1
    assert client.generate("one more").text() == "hello"


def test_what_was_in_memory_is_computed_again(engine: Engine, backend: Losable) -> None:
    client = Client(engine)
    prompt = "a prompt that is long enough to be kept in memory"
    client.generate(prompt).text()
    ending = client.generate(prompt).end()
    assert isinstance(ending, GenerationFinished)
    assert ending.num_cached_tokens > 0
    backend.fail_decode = backend.lose
    assert client.generate("x").end().reason is FinishReason.ERROR
    until(lambda: engine.is_healthy)
    ending = client.generate(prompt).end()
    assert isinstance(ending, GenerationFinished)
    assert ending.num_cached_tokens == 0


@pytest.mark.parametrize("refusal", [EngineLostError("no answer"), ModelError("no memory")])
def test_until_it_is_back_requests_are_refused(
    engine: Engine, backend: Losable, refusal: Exception
) -> None:
    client = Client(engine)
    backend.refusal = refusal
    backend.gate = threading.Semaphore(0)
    backend.fail_decode = backend.lose
    listeners = [client.generate("one"), client.generate("two")]
    backend.gate.release(100)
    for listener in listeners:
        assert listener.end().reason is FinishReason.ERROR
    reason = str(refusal) if isinstance(refusal, ModelError) else "no answer"
    until(lambda: engine.problem == reason)
    assert not engine.is_healthy
    with pytest.raises(EngineLostError, match=reason):
        client.generate("three")
    backend.refusal = None
    until(lambda: engine.is_healthy)
    assert engine.problem is None
    assert client.generate("four").text() == "hello"


def test_a_loss_is_noticed_while_nothing_runs(engine: Engine, backend: Losable) -> None:
    backend.is_lost = True
    until(lambda: backend.num_restarts == 1 and engine.is_healthy)
    assert Client(engine).generate("one").text() == "hello"


def test_a_request_after_a_silent_loss_does_not_notice_it(
    backend: Losable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glm3edge.engine.recovery.CHECK_SECONDS", 3600)
    monkeypatch.setattr("glm3edge.engine.recovery.TRUST_SECONDS", -1)  # check before every step
    engine = Engine(backend, max_running=1, use_drafts=False, recovery=backend)
    engine.start()
    backend.is_lost = True
    backend.fail_decode = backend.lose
    assert Client(engine).generate("one").text() == "hello"
    assert backend.num_restarts == 1
    engine.close()


def test_a_lost_engine_can_be_closed(engine: Engine, backend: Losable) -> None:
    backend.refusal = EngineLostError("no answer")
    backend.is_lost = True
    assert backend.tried.acquire(timeout=WAIT_SECONDS)
    engine.close()
    assert not engine.is_running
    assert backend.num_aborts > 0


def test_other_work_goes_on_meanwhile(engine: Engine, backend: Losable) -> None:
    backend.refusal = EngineLostError("no answer")
    backend.is_lost = True
    assert backend.tried.acquire(timeout=WAIT_SECONDS)
    done = threading.Event()
    engine.run_on_engine_thread(done.set, on_error=lambda _exc: None)
    assert done.wait(WAIT_SECONDS)


def test_what_a_batch_gave_before_the_loss_is_not_lost(backend: Losable) -> None:
    """One reply ends in the batch in whose middle the engine is lost: it has its ending."""
    engine = Engine(backend, max_running=2, use_drafts=False, recovery=backend)
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda prompt: [EOS] if prompt == spell("a") else [*spell("hello"), EOS]
    sample, client = backend.sample, Client(engine)

    def sample_once(sampler: FakeSampler, index: int, allowed: Mask | None = None) -> int:
        if sampler.reply != [EOS]:
            backend.lose()
        return sample(sampler, index, allowed)

    backend.sample = sample_once  # type: ignore[method-assign]
    first, second = client.generate("a"), client.generate("b")
    engine.start()
    backend.gate.release(100)
    assert first.end().reason is FinishReason.STOP
    assert second.end().reason is FinishReason.ERROR
    engine.close()


def test_what_had_begun_does_not_go_on(engine: Engine, backend: Losable) -> None:
    """A request that waits again has a sampler of the backend that is lost."""
    client = Client(engine)
    backend.gate = threading.Semaphore(0)
    background = client.generate("background", priority=Priority.BACKGROUND)
    until(lambda: engine.num_running == 1)
    backend.gate.release(3)
    assert background.next()
    interactive = client.generate("interactive")
    until(lambda: engine.num_waiting == 1)
    backend.gate.release(2)
    assert interactive.next()  # so the other has been preempted
    backend.fail_decode = backend.lose
    backend.gate.release(100)
    assert interactive.end().reason is FinishReason.ERROR
    assert background.end().reason is FinishReason.ERROR
    until(lambda: engine.is_healthy)
    assert client.generate("another").text() == "hello"


def test_losses_in_a_row_are_no_failure_of_what_comes_after(
    engine: Engine, backend: Losable
) -> None:
    client = Client(engine)
    for number in range(4):
        backend.fail_decode = backend.lose
        assert client.generate(f"lost {number}").end().reason is FinishReason.ERROR
        until(lambda: engine.problem is None)
    assert engine.stats.num_restarts == 4


def test_who_waits_for_a_restart_can_leave(engine: Engine, backend: Losable) -> None:
    client = Client(engine)
    backend.gate = threading.Semaphore(0)
    running, waiting = client.generate("one"), client.generate("two")
    until(lambda: engine.num_running == 1)
    backend.fail_decode = backend.lose
    may_restart = threading.Event()
    restart = backend.restart

    def slow_restart() -> None:
        may_restart.wait(WAIT_SECONDS)
        restart()

    backend.restart = slow_restart  # type: ignore[method-assign]
    backend.gate.release(100)
    assert running.end().reason is FinishReason.ERROR
    done = threading.Event()
    engine.run_on_engine_thread(done.set, on_error=lambda _exc: None)
    waiting.cancel()
    assert waiting.end().reason is FinishReason.CANCELLED
    assert done.wait(WAIT_SECONDS)
    may_restart.set()
    until(lambda: engine.is_healthy)


def test_any_failure_to_restart_is_tried_again(engine: Engine, backend: Losable) -> None:
    backend.refusal = OSError(28, "No space left on device")
    backend.is_lost = True
    until(lambda: "No space left" in str(engine.problem))
    backend.refusal = None
    until(lambda: engine.is_healthy)


def test_while_lost_other_work_does_not_hasten_a_restart(
    engine: Engine, backend: Losable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glm3edge.engine.recovery.RETRY_SECONDS", 60)
    backend.refusal = EngineLostError("no answer")
    backend.is_lost = True
    assert backend.tried.acquire(timeout=WAIT_SECONDS)
    for _ in range(5):
        done = threading.Event()
        engine.run_on_engine_thread(done.set, on_error=lambda _exc: None)
        assert done.wait(WAIT_SECONDS)
    assert not backend.tried.acquire(blocking=False)


@pytest.fixture
def unloading(backend: Losable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that unloads its model at the first chance."""
    monkeypatch.setattr("glm3edge.engine.engine._SAVE_SECONDS", 0.02)
    for name in ("RETRY_SECONDS", "CHECK_SECONDS"):
        monkeypatch.setattr(f"glm3edge.engine.recovery.{name}", 0.02)
    engine = Engine(backend, use_drafts=False, recovery=backend, idle_unload=0.1)
    engine.start()
    yield engine
    engine.close()


def test_an_idle_model_is_unloaded_and_the_next_request_waits_for_it(
    unloading: Engine, backend: Losable
) -> None:
    until(lambda: unloading.model_state is ModelState.UNLOADED)
    assert unloading.is_healthy
    for number in (1, 2):
        assert Client(unloading).generate("a prompt that was known").text() == "hello"
        assert backend.num_restarts == number
        until(lambda: unloading.model_state is ModelState.UNLOADED)
    assert backend.num_unloads == 3
    num_checks = backend.num_checks
    time.sleep(0.2)
    assert backend.num_checks == num_checks  # what is unloaded is not asked whether it is there
    assert unloading.stats.num_restarts == 0


def test_other_work_does_not_load_the_model(unloading: Engine, backend: Losable) -> None:
    until(lambda: unloading.model_state is ModelState.UNLOADED)
    done = threading.Event()
    unloading.run_on_engine_thread(done.set, on_error=lambda _exc: None)
    assert done.wait(WAIT_SECONDS)
    assert unloading.model_state is ModelState.UNLOADED
    assert backend.num_restarts == 0


def test_a_model_that_cannot_be_loaded_again_is_a_loss(unloading: Engine, backend: Losable) -> None:
    until(lambda: unloading.model_state is ModelState.UNLOADED)
    backend.refusal = ModelError("no memory")
    ending = Client(unloading).generate("one").end()
    assert isinstance(ending.error, EngineLostError)
    until(lambda: unloading.problem == "no memory")
    backend.refusal = None
    until(lambda: unloading.is_healthy)
    assert Client(unloading).generate("two").text() == "hello"


def test_an_unloaded_engine_can_be_closed(unloading: Engine) -> None:
    until(lambda: unloading.model_state is ModelState.UNLOADED)
    unloading.close()
    assert not unloading.is_running
