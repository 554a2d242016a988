"""An engine over a scripted backend."""

from collections.abc import Iterator

import pytest

from glm3edge.engine.engine import Engine
from tests.support.fakes import FakeBackend


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(batch_size=512)


@pytest.fixture
def engine(backend: FakeBackend) -> Iterator[Engine]:
    engine = Engine(backend, use_drafts=False)
    yield engine
    engine.close()
