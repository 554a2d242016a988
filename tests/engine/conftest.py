"""An engine over a scripted backend, with its client."""

from collections.abc import Iterator

import pytest

from glm3edge.engine.engine import Engine
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
