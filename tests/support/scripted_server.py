"""The application over a scripted backend, on a socket."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI

from glm3edge.engine.engine import Engine
from glm3edge.schema.models import ModelCard
from glm3edge.server.http_protocol import LimitedHttpProtocol
from glm3edge.serving.chat.service import ChatService
from glm3edge.serving.completions import CompletionService
from glm3edge.serving.embedders import ChatModelEmbedder
from glm3edge.serving.embeddings import EmbeddingService
from glm3edge.serving.model_file import ModelFile
from glm3edge.serving.services import Services
from glm3edge.serving.tokenization import TokenizationService
from tests.support.fakes import FakeBackend, FakeVocabulary
from tests.support.waiting import SECONDS


@dataclass(frozen=True)
class Scripted:
    """A server whose model says what a test tells it to."""

    url: str
    app: FastAPI
    backend: FakeBackend
    engine: Engine


FILE = ModelFile(
    architecture="chatglm",
    quant_type="q8_0",
    num_params=7_000_000,
    num_layers=6,
    embedding_length=4,
    num_bytes=8_000_000,
    modified=1_700_000_000.0,
    fingerprint="abc",
)
"""What the scripted model's file could be."""

Serve = Callable[..., Scripted]


def scripted_services(
    engine: Engine, backend: FakeBackend, *, clamp_max_tokens: bool = False
) -> Services:
    """All services of the application, over a scripted backend."""
    clamp: Any = {"clamp_max_tokens": clamp_max_tokens}
    vocabulary = FakeVocabulary()
    embedder = ChatModelEmbedder(
        engine, vocabulary, model_id="fake", embedding_length=backend.embedding_length
    )
    return Services(
        engine=engine,
        chat=ChatService(engine, vocabulary, model_id="fake", **clamp),
        texts=CompletionService(engine, vocabulary, model_id="fake", **clamp),
        embeddings=EmbeddingService(embedder),
        tokens=TokenizationService(vocabulary),
        cards=(ModelCard(id="fake", created=1, context_length=backend.context_size),),
        files={"fake": FILE},
    )


@contextmanager
def running(
    app: FastAPI,
    protocol: type[LimitedHttpProtocol] = LimitedHttpProtocol,
    *,
    loop: Literal["auto", "asyncio"] = "auto",
    max_connections: int | None = None,
) -> Iterator[str]:
    """The application on a port; gives its URL as one of plain HTTP."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            http=protocol,
            ws="none",
            loop=loop,
            limit_concurrency=max_connections,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(SECONDS)
    assert not thread.is_alive()
