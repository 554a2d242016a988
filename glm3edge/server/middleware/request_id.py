"""Request ids: in the headers of every response, and in Anthropic's error bodies."""

import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glm3edge.server.error_responses import is_anthropic

HEADER = "x-request-id"
"""Header of all responses, OpenAI's name."""

ANTHROPIC_HEADER = "request-id"
"""Header with the same id in responses of Anthropic's routes."""


def new_request_id() -> str:
    """A new id."""
    return f"req_{uuid.uuid4().hex}"


class RequestId:
    """Gives each request an id, ``request.state.request_id``, and its response the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                if is_anthropic(scope["path"]):
                    headers[ANTHROPIC_HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)
