"""A live server for clients that have an environment of their own; it runs in the project's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.node_packages import install_packages
from tests.support.servers import Server, start_server, stop_server

_FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``glm3edge serve`` with the built-in model."""
    cache = tmp_path_factory.mktemp("cache")
    server = start_server(python=os.environ["SERVER_PYTHON"], GLM3EDGE_CACHE_DIR=str(cache))
    yield server
    assert stop_server(server) == 0


@pytest.fixture(scope="session")
def ai_sdk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with the AI SDK in it, from the registry."""
    return install_packages(_FOLDER / "ai_sdk", tmp_path_factory.mktemp("node") / "ai_sdk")
