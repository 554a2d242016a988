"""An engine over a scripted backend, with its client, and a slow disk."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glm3edge.engine.engine import Engine
from glm3edge.engine.state_folder import StateFolder
from tests.support.engine_client import Client
from tests.support.fakes import FakeBackend


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


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """A disk that writes as many states as are let through, and all in the end."""
    gate = threading.Semaphore(0)
    write = StateFolder.write

    def write_slowly(*args: Any) -> Path | None:
        gate.acquire()
        return write(*args)

    monkeypatch.setattr(StateFolder, "write", write_slowly)
    yield gate
    gate.release(1000)
