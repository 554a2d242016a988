"""Dependencies of the routes: the application's services, error models, the JSON reply."""

from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import Response

from glm3edge.errors import EngineClosedError
from glm3edge.schema.base import ReplyModel
from glm3edge.schema.errors import ErrorReply
from glm3edge.server.request_errors import ServerStartingError
from glm3edge.server.startup import Startup
from glm3edge.serving.services import Services

ERROR_REPLIES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorReply},
    "5XX": {"model": ErrorReply},
}
"""Documented error bodies of every route but Anthropic's."""


def _services(request: Request) -> Services:
    services: Services | Startup = request.app.state.services
    if isinstance(services, Startup):
        raise ServerStartingError(services.progress, retry_after=services.retry_after)
    return services


ServicesOf = Annotated[Services, Depends(_services)]
"""The application's services, unless the server is starting."""


def _open_services(services: ServicesOf) -> Services:
    if not services.engine.is_running:
        raise EngineClosedError("the server is shutting down")
    return services


OpenServicesOf = Annotated[Services, Depends(_open_services)]
"""The services, unless the server is shutting down."""


def _running_services(services: OpenServicesOf) -> Services:
    services.engine.check_capacity()
    return services


RunningServicesOf = Annotated[Services, Depends(_running_services)]
"""The services, unless the engine would refuse a request; checked before the body is prepared."""


async def reply(work: Coroutine[Any, Any, ReplyModel]) -> Response:
    """The result of ``work`` as JSON."""
    body = await work
    return Response(body.model_dump_json(), media_type="application/json")
