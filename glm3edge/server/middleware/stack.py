"""The middleware stack, in the order in which a request passes it.

    RequestId     gives each request an id, and its response the id's headers
    HeadAsGet     answers HEAD as GET
    OriginCheck   refuses web pages of other origins
    CORS          answers preflights, which carry no key; lets allowed pages read error bodies
    HostCheck     refuses Host headers that are not this server's
    KeyCheck      refuses requests without the API key
    BodyLimit     refuses bodies that are compressed, too long, too deep or have too many values

Each is plain ASGI: no response is buffered, and disconnects are noticed. The first two are outside
of FastAPI's own, so that its reply to an unexpected exception has an id, too.
"""

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from glm3edge.config.settings import LOCAL_ORIGINS, Settings
from glm3edge.errors import RequestError
from glm3edge.server.error_responses import response
from glm3edge.server.middleware import request_id
from glm3edge.server.middleware.api_key import KeyCheck
from glm3edge.server.middleware.body_limit import BodyLimit
from glm3edge.server.middleware.head import HeadAsGet
from glm3edge.server.middleware.origins import HostCheck, OriginCheck
from glm3edge.server.middleware.request_id import RequestId


class CheckMiddleware:
    """Calls ``check`` with each request, and answers the error it raises with an error body."""

    def __init__(self, app: ASGIApp, check: Callable[[HTTPConnection], None]) -> None:
        self._app = app
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["type"] == "http":
                self._check(HTTPConnection(scope))
        except RequestError as exc:
            await response(exc, scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class App(FastAPI):
    """An application whose responses all have a request id."""

    def build_middleware_stack(self) -> ASGIApp:
        """The middleware around the routes; called by FastAPI, once."""
        return RequestId(HeadAsGet(super().build_middleware_stack()))


def install(app: FastAPI, settings: Settings) -> None:
    """Add the middleware that ``settings`` ask for; the last added is the first to be called."""
    app.add_middleware(BodyLimit, max_bytes=settings.max_body)
    if settings.api_key is not None:
        app.add_middleware(CheckMiddleware, check=KeyCheck(settings.api_key))
    app.add_middleware(CheckMiddleware, check=HostCheck(settings))
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_origin_regex=LOCAL_ORIGINS,
        allow_methods=["GET", "HEAD", "POST", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        allow_private_network=True,  # asked for by pages that are not of this machine
        expose_headers=[request_id.HEADER, request_id.ANTHROPIC_HEADER, "Retry-After"],
    )
    app.add_middleware(CheckMiddleware, check=OriginCheck(settings))
