"""create_app: the FastAPI application over a runtime."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import Depends, FastAPI, params
from fastapi.security import HTTPBearer

from glm3edge import __version__
from glm3edge.config.settings import Settings
from glm3edge.server import api_docs, chat_page, error_responses
from glm3edge.server.middleware import stack
from glm3edge.server.routes import anthropic, completions, responses, tokenize
from glm3edge.server.routes.openai import router
from glm3edge.serving.services import Services


def create_app(services: Services, settings: Settings) -> FastAPI:
    """An application that serves ``services``; the engine runs while the application does."""
    app = FastAPI(
        title="glm3edge",
        summary="ChatGLM3 behind OpenAI's routes and Anthropic's.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        dependencies=_key_in_docs(settings),
        lifespan=_lifespan(services),
    )
    app.state.services = services
    stack.install(app, settings)
    error_responses.install(app)
    api_docs.install(app)
    chat_page.install(app)
    app.include_router(router)
    app.include_router(completions.router, tags=["OpenAI"])
    app.include_router(anthropic.router, tags=["Anthropic"])
    app.include_router(responses.router, tags=["OpenAI"])
    app.include_router(tokenize.router, tags=["llama.cpp"])
    return app


def _key_in_docs(settings: Settings) -> list[params.Depends]:
    """Has the docs ask for the key, where there is one. The guard is what checks it."""
    return [] if settings.api_key is None else [Depends(HTTPBearer(auto_error=False))]


def _lifespan(services: Services) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.engine.start(asyncio.get_running_loop().call_soon_threadsafe)
        try:
            yield
        finally:
            await asyncio.to_thread(services.engine.close)

    return lifespan
