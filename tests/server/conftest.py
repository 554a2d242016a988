"""The application over a scripted backend, in this process or on a real socket."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.engine.engine import Engine
from glm3edge.server.app import create_app
from glm3edge.serving.services import Services
from tests.support.fakes import FakeBackend
from tests.support.scripted_server import running, scripted_services


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(batch_size=512)


@pytest.fixture
def clamp_max_tokens() -> bool:
    """Whether --clamp-max-tokens is given."""
    return False


@pytest.fixture
def services(backend: FakeBackend, clamp_max_tokens: bool) -> Services:
    engine = Engine(backend, use_drafts=False)
    return scripted_services(engine, backend, clamp_max_tokens=clamp_max_tokens)


@pytest.fixture
def app(services: Services) -> FastAPI:
    settings = load_settings(
        cors_origins=("https://front.example",),
        allowed_hosts=("testserver",),  # what starlette's client calls it
    )
    return create_app(services, settings)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    """The application on a socket, for what only a real connection shows."""
    with running(app) as url:
        yield url
