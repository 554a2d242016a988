"""Error responses: exceptions to HTTP statuses and JSON bodies, by one table.

Bodies have OpenAI's form; below ``/v1/messages`` they have Anthropic's, whose types follow from the
status (https://docs.anthropic.com/en/api/errors), and below ``/api`` Ollama's, a message alone.
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from glm3edge.errors import (
    ContextLengthExceededError,
    EngineClosedError,
    EngineLostError,
    Glm3EdgeError,
    GrammarError,
    InvalidRequestError,
    QueueFullError,
    RequestError,
    TimeoutExceededError,
    excerpt,
)
from glm3edge.schema.errors import ErrorDetail, ErrorReply, StartingReply
from glm3edge.schema.messages import ErrorEvent, MessageErrorCode, MessageErrorDetail
from glm3edge.schema.ollama import OllamaError
from glm3edge.server.request_errors import (
    AuthenticationError,
    BodyTooLargeError,
    ContentEncodingError,
    HeadersTooLargeError,
    HostNotAllowedError,
    OriginNotAllowedError,
    RequestTimeoutError,
    ServerStartingError,
    TooManyConnectionsError,
)
from glm3edge.serving.anthropic.errors import ThreadUnsupportedError
from glm3edge.serving.responses.errors import PreviousResponseNotFoundError, ResponseNotFoundError

_INVALID = "invalid_request_error"
_SERVER = "server_error"

# Exception, status, OpenAI's type, OpenAI's code; the first match counts.
_TABLE: list[tuple[type[Exception], HTTPStatus, str, str | None]] = [
    (ContextLengthExceededError, HTTPStatus.BAD_REQUEST, _INVALID, "context_length_exceeded"),
    (ThreadUnsupportedError, HTTPStatus.BAD_REQUEST, _INVALID, "thread_unsupported_request"),
    (InvalidRequestError, HTTPStatus.BAD_REQUEST, _INVALID, None),
    (GrammarError, HTTPStatus.BAD_REQUEST, _INVALID, None),
    (
        PreviousResponseNotFoundError,
        HTTPStatus.BAD_REQUEST,
        _INVALID,
        "previous_response_not_found",
    ),
    (ResponseNotFoundError, HTTPStatus.NOT_FOUND, _INVALID, None),
    (AuthenticationError, HTTPStatus.UNAUTHORIZED, _INVALID, "invalid_api_key"),
    (HostNotAllowedError, HTTPStatus.FORBIDDEN, _INVALID, "host_not_allowed"),
    (OriginNotAllowedError, HTTPStatus.FORBIDDEN, _INVALID, "origin_not_allowed"),
    (BodyTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _INVALID, "request_too_large"),
    (
        ContentEncodingError,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        _INVALID,
        "unsupported_content_encoding",
    ),
    (
        HeadersTooLargeError,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        _INVALID,
        "request_too_large",
    ),
    (RequestTimeoutError, HTTPStatus.REQUEST_TIMEOUT, _INVALID, "request_timeout"),
    (TooManyConnectionsError, HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "too_many_connections"),
    (ServerStartingError, HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "server_starting"),
    (QueueFullError, HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_error", "queue_full"),
    (EngineClosedError, HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "server_shutting_down"),
    (EngineLostError, HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "engine_lost"),
    (TimeoutExceededError, HTTPStatus.GATEWAY_TIMEOUT, _SERVER, "timeout"),
    (Glm3EdgeError, HTTPStatus.INTERNAL_SERVER_ERROR, _SERVER, "engine_error"),
    (Exception, HTTPStatus.INTERNAL_SERVER_ERROR, _SERVER, "internal_error"),
]
_CODES = {HTTPStatus.NOT_FOUND: "not_found", HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed"}

_MAX_CHARACTERS = 1000

_OLLAMA_ROUTES = "/api/"
_ANTHROPIC_ROUTES = "/v1/messages"
_ANTHROPIC_TYPES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "overloaded_error",
    HTTPStatus.GATEWAY_TIMEOUT: "timeout_error",
}
_ANTHROPIC_CODES = {"thread_unsupported_request"}  # its clients act on


def describe(exc: Exception) -> tuple[HTTPStatus, ErrorReply]:
    """Status and body for an exception; the text of unexpected ones is kept from the client."""
    status, kind, code = next(row[1:] for row in _TABLE if isinstance(exc, row[0]))
    message = str(exc) if isinstance(exc, Glm3EdgeError) else "internal error; see the server's log"
    param = exc.param if isinstance(exc, RequestError) else None
    reply = _reply(message, kind, param, code)
    if isinstance(exc, ServerStartingError):
        return status, StartingReply(error=reply.error, progress=exc.progress)
    return status, reply


def is_anthropic(path: str) -> bool:
    """Whether a route, or one that does not exist, is in Anthropic's API."""
    return path == _ANTHROPIC_ROUTES or path.startswith(f"{_ANTHROPIC_ROUTES}/")


def message_error(exc: Exception, *, request_id: str) -> ErrorEvent:
    """Anthropic's body for an exception, which is also its error event in a stream."""
    return _anthropic(request_id, *describe(exc))


def ollama_error(exc: Exception) -> OllamaError:
    """Ollama's body for an exception, which is also the last line of a stream that fails."""
    return OllamaError(error=describe(exc)[1].error.message)


def response(exc: Exception, scope: Scope) -> Response:
    """Response for an exception, with the headers that belong to it.

    The path in the request's ``scope`` decides on the form of the body.
    """
    made = _response(scope, *describe(exc))
    if isinstance(exc, QueueFullError | ServerStartingError):
        made.headers["Retry-After"] = str(exc.retry_after)
    if isinstance(exc, TimeoutExceededError):  # OpenAI's clients would retry, to no avail
        made.headers["x-should-retry"] = "false"
    if isinstance(exc, AuthenticationError):
        made.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(exc, ContentEncodingError):
        made.headers["Accept-Encoding"] = "identity"
    return made


def install(app: FastAPI) -> None:
    """Answer every exception in ``app`` with an error body."""
    app.add_exception_handler(Glm3EdgeError, _on_exception)
    app.add_exception_handler(Exception, _on_exception)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)


async def _on_exception(request: Request, exc: Exception) -> Response:
    return response(exc, request.scope)


async def _on_http_exception(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    message = f"{exc.detail}: {request.method} {request.url.path}"
    reply = _reply(message, _INVALID, None, _CODES.get(HTTPStatus(exc.status_code)))
    made = _response(request.scope, exc.status_code, reply)
    made.headers.update(exc.headers or {})
    return made


async def _on_validation_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, RequestValidationError):
        raise exc
    if isinstance(exc.body, bytes):  # FastAPI has not parsed it
        given = request.headers.get("content-type", "none")
        message = f"the body needs the header Content-Type: application/json; it has {given}"
        return response(InvalidRequestError(message), request.scope)
    first = exc.errors()[0]
    param = _path(first["loc"], exc.body, is_missing=first["type"] == "missing")
    message = f"{param or 'body'}: {first['msg']}"
    return _response(request.scope, HTTPStatus.BAD_REQUEST, _reply(message, _INVALID, param, None))


def _path(location: tuple[str | int, ...], body: Any, *, is_missing: bool) -> str | None:
    """``("body", "messages", 0, "content", "str")`` as ``messages[0].content``.

    pydantic's locations also have the branches of unions that it tried; those are left out, as they
    are not in the body. A missing field is not in the body either, but it is the last part.
    """
    if location[0] != "body":
        return str(location[-1])
    path, value = "", body
    for index, part in enumerate(location[1:], start=2):
        if isinstance(part, int):
            path += f"[{part}]" if isinstance(value, list) else ""
            value = value[part] if isinstance(value, list) else None
        elif isinstance(value, dict) and (part in value or (is_missing and index == len(location))):
            path += f".{part}" if path else part
            value = value.get(part)
    return path or None


def _reply(message: str, kind: str, param: str | None, code: str | None) -> ErrorReply:
    param = None if param is None else excerpt(param, _MAX_CHARACTERS)
    message = excerpt(message, _MAX_CHARACTERS)
    detail = ErrorDetail(message=message, type=kind, param=param, code=code)
    return ErrorReply(error=detail)


def _anthropic(request_id: str, status: int, reply: ErrorReply) -> ErrorEvent:
    other = "api_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _INVALID
    kind = _ANTHROPIC_TYPES.get(status, other)
    code = reply.error.code
    details = MessageErrorCode(error_code=code) if code in _ANTHROPIC_CODES else None
    detail = MessageErrorDetail(type=kind, message=reply.error.message, details=details)
    return ErrorEvent(error=detail, request_id=request_id)


def _response(scope: Scope, status: int, reply: ErrorReply) -> Response:
    body: ErrorReply | ErrorEvent | OllamaError = reply
    if is_anthropic(scope["path"]):
        body = _anthropic(scope["state"]["request_id"], status, reply)
    elif scope["path"].startswith(_OLLAMA_ROUTES):
        body = OllamaError(error=reply.error.message)
    return Response(body.model_dump_json(), status_code=status, media_type="application/json")
