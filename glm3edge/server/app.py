"""The FastAPI application over the services of a model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, params
from fastapi.security import HTTPBearer

from glm3edge import __version__
from glm3edge.config.settings import Settings
from glm3edge.server import api_docs, chat_page, error_responses
from glm3edge.server.middleware import stack
from glm3edge.server.routes import (
    anthropic,
    completions,
    health,
    ollama,
    openai,
    rerank,
    responses,
    tokenize,
)
from glm3edge.server.startup import Startup
from glm3edge.serving.services import Services


def create_app(services: Services | Startup, settings: Settings) -> FastAPI:
    """Make the application, over services or, before they are there, over the progress of a start.

    The engine of the services runs from then on as long as the application does.
    """
    app = stack.App(
        title="glm3edge",
        summary="ChatGLM3 behind OpenAI's routes, Anthropic's and Ollama's.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        dependencies=_key_in_docs(settings),
        lifespan=_lifespan,
    )
    app.state.services = services
    stack.install(app, settings)
    error_responses.install(app)
    api_docs.install(app)
    chat_page.install(app)
    app.include_router(health.router, tags=["Server"])
    for prefix in ("/v1", ""):  # clients differ in which of them completes the base URL
        for router in (openai.router, completions.router, responses.router):
            app.include_router(
                router, prefix=prefix, tags=["OpenAI"], include_in_schema=prefix != ""
            )
    app.include_router(anthropic.router, tags=["Anthropic"])
    app.include_router(ollama.router, tags=["Ollama"])
    app.include_router(rerank.router, tags=["Jina and Cohere"])
    app.include_router(tokenize.router, tags=["llama.cpp"])
    return app


def _key_in_docs(settings: Settings) -> list[params.Depends]:
    """Lets the API docs ask for the key, if there is one; the middleware checks it."""
    return [] if settings.api_key is None else [Depends(HTTPBearer(auto_error=False))]


async def begin(app: FastAPI, services: Services) -> None:
    """Serve with ``services`` from now on."""
    services.engine.start(asyncio.get_running_loop().call_soon_threadsafe)
    app.state.services = services


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    if isinstance(app.state.services, Services):
        await begin(app, app.state.services)
    try:
        yield
    finally:
        if isinstance(app.state.services, Services):
            await asyncio.to_thread(app.state.services.engine.close)
