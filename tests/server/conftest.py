"""The application over a scripted backend, in this process or on a real socket."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.engine.engine import Engine
from glm3edge.schema.models import ModelCard
from glm3edge.server.app import create_app
from glm3edge.serving.chat.service import ChatService
from glm3edge.serving.completions import CompletionService
from glm3edge.serving.embedders import ChatModelEmbedder
from glm3edge.serving.embeddings import EmbeddingService
from glm3edge.serving.services import Services
from glm3edge.serving.tokenization import TokenizationService
from tests.support.fakes import FakeBackend, FakeVocabulary


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(batch_size=512)


@pytest.fixture
def clamp_max_tokens() -> bool:
    """Whether --clamp-max-tokens is given."""
    return False


@pytest.fixture
def services(backend: FakeBackend, clamp_max_tokens: bool) -> Services:
    clamp: Any = {"clamp_max_tokens": clamp_max_tokens}
    engine = Engine(backend, use_drafts=False)
    vocabulary = FakeVocabulary()
    return Services(
        engine=engine,
        chat=ChatService(engine, vocabulary, model_id="fake", **clamp),
        texts=CompletionService(engine, vocabulary, model_id="fake", **clamp),
        embeddings=EmbeddingService(
            ChatModelEmbedder(
                engine,
                vocabulary,
                model_id="fake",
                embedding_length=backend.embedding_length,
            )
        ),
        tokens=TokenizationService(vocabulary),
        cards=(ModelCard(id="fake", created=1, context_length=backend.context_size),),
    )


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
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()
