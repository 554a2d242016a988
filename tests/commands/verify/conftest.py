"""The built-in model in several types, converted once."""

from pathlib import Path

import pytest

from glm3edge.store.store import Store
from tests.support.demo import Demo
from tests.support.paths import GLM3_TINY


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The built-in model's file of a type."""
    cache = tmp_path_factory.mktemp("demo")
    return lambda type_name: Store(cache, quant_type=type_name).find(None)


@pytest.fixture(scope="session")
def demo_checkpoint() -> Path:
    """The folder that ``demo`` is made from."""
    return GLM3_TINY
