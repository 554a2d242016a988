"""The state machine of a backend that can be lost, without an engine."""

import threading
from collections.abc import Callable, Iterator

import pytest

from glm3edge.core import ModelState
from glm3edge.engine.recovery import Recovery
from glm3edge.engine.stats import Stats
from glm3edge.errors import EngineLostError, ModelError
from tests.support.engine_client import WAIT_SECONDS

LOSS = EngineLostError("the cable is out")


class FakeBackend:
    """Backend that fails as scripted, and a log of all calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.is_lost = False
        self.failures: Iterator[Exception] = iter(())
        self.before_restart: Callable[[], object] = lambda: None

    def check(self) -> None:
        self.calls.append("check")
        if self.is_lost:
            raise LOSS

    def restart(self) -> None:
        self.before_restart()
        self.calls.append("restart")
        for failure in self.failures:
            raise failure

    def unload(self) -> None:
        self.calls.append("unload")


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def stats() -> Stats:
    return Stats()


@pytest.fixture
def recovery(backend: FakeBackend, stats: Stats) -> Recovery:
    return Recovery(
        backend,
        stats,
        on_loss=lambda error: backend.calls.append(f"loss: {error.reason}"),
        on_failure=lambda error: backend.calls.append(f"failure: {error.reason}"),
        meanwhile=lambda: None,
    )


@pytest.fixture
def retry_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    return lambda seconds: monkeypatch.setattr("glm3edge.engine.recovery.RETRY_SECONDS", seconds)


def problem(recovery: Recovery) -> str | None:
    return None if recovery.error is None else recovery.error.reason


@pytest.mark.parametrize(("idle_seconds", "calls"), [(0.0, []), (0.9, []), (1.1, ["check"])])
def test_only_after_a_pause_is_the_backend_checked(
    recovery: Recovery, backend: FakeBackend, idle_seconds: float, calls: list[str]
) -> None:
    recovery.attend(idle_seconds)
    assert backend.calls == calls
    assert recovery.error is None


def test_a_loss_found_by_a_check_is_repaired_at_once(
    recovery: Recovery, backend: FakeBackend, stats: Stats
) -> None:
    backend.is_lost = True
    recovery.attend(60)
    assert backend.calls == ["check", "loss: the cable is out", "restart"]
    assert recovery.error is None
    assert stats.num_restarts == 1


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (EngineLostError("no answer"), "no answer"),
        (ModelError("no memory"), "no memory"),
        (OSError("no space"), "no space"),
    ],
)
def test_a_restart_that_fails_is_tried_again(
    recovery: Recovery,
    backend: FakeBackend,
    stats: Stats,
    *,
    retry_seconds: Callable[[float], None],
    failure: Exception,
    reason: str,
) -> None:
    retry_seconds(0)
    backend.failures = iter([failure])
    recovery.lose(LOSS)
    assert backend.calls == ["loss: the cable is out", "restart", f"failure: {reason}"]
    assert problem(recovery) == reason
    assert stats.num_restarts == 0
    recovery.attend(0)
    assert backend.calls[3:] == ["restart"]
    assert problem(recovery) is None
    assert stats.num_restarts == 1


def test_a_retry_waits_for_its_time(
    recovery: Recovery, backend: FakeBackend, retry_seconds: Callable[[float], None]
) -> None:
    retry_seconds(3600)
    backend.failures = iter([LOSS])
    recovery.lose(LOSS)
    num_calls = len(backend.calls)
    recovery.attend(60)
    assert len(backend.calls) == num_calls
    assert recovery.max_idle_seconds == 3600


def test_what_is_unloaded_is_not_checked_and_comes_back_when_asked_for(
    recovery: Recovery, backend: FakeBackend, stats: Stats
) -> None:
    recovery.unload()
    recovery.attend(60)
    assert backend.calls == ["unload", "loss: it is unloaded"]
    assert recovery.state is ModelState.UNLOADED
    assert recovery.max_idle_seconds is None
    backend.before_restart = lambda: backend.calls.append(recovery.state.value)
    recovery.load()
    assert backend.calls[2:] == ["loading", "restart"]
    assert (recovery.state, problem(recovery)) == (ModelState.LOADED, None)
    assert stats.num_restarts == 0  # nothing was lost


def test_what_cannot_be_loaded_again_is_lost(
    recovery: Recovery, backend: FakeBackend, retry_seconds: Callable[[float], None]
) -> None:
    retry_seconds(0)
    recovery.unload()
    backend.failures = iter([ModelError("no memory")])
    recovery.load()
    assert problem(recovery) == "no memory"
    assert backend.calls[-1] == "failure: no memory"
    recovery.attend(0)
    assert problem(recovery) is None


def test_the_engine_is_served_while_a_restart_runs(backend: FakeBackend, stats: Stats) -> None:
    served = threading.Event()
    backend.before_restart = lambda: backend.calls.append(f"served: {served.wait(WAIT_SECONDS)}")
    recovery = Recovery(
        backend,
        stats,
        on_loss=lambda _error: None,
        on_failure=lambda _error: None,
        meanwhile=served.set,
    )
    recovery.lose(LOSS)
    assert backend.calls == ["served: True", "restart"]
    assert recovery.error is None
