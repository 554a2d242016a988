"""Exceptions to OpenAI's error bodies: one table gives each type its status."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from glm3edge.errors import (
    ContextLengthExceededError,
    EngineClosedError,
    Glm3EdgeError,
    InvalidRequestError,
    QueueFullError,
    RequestError,
    TimeoutExceededError,
)
from glm3edge.schema.errors import ErrorDetail, ErrorReply

_INVALID = "invalid_request_error"
_SERVER = "server_error"

# The first type that fits: status, OpenAI's type, OpenAI's code.
_TABLE: list[tuple[type[Exception], HTTPStatus, str, str | None]] = [
    (ContextLengthExceededError, HTTPStatus.BAD_REQUEST, _INVALID, "context_length_exceeded"),
    (InvalidRequestError, HTTPStatus.BAD_REQUEST, _INVALID, None),
    (QueueFullError, HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_error", "queue_full"),
    (EngineClosedError, HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, "server_shutting_down"),
    (TimeoutExceededError, HTTPStatus.GATEWAY_TIMEOUT, _SERVER, "timeout"),
    (Glm3EdgeError, HTTPStatus.INTERNAL_SERVER_ERROR, _SERVER, "engine_error"),
    (Exception, HTTPStatus.INTERNAL_SERVER_ERROR, _SERVER, "internal_error"),
]
_CODES = {HTTPStatus.NOT_FOUND: "not_found", HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed"}


def describe(exc: Exception) -> tuple[HTTPStatus, ErrorReply]:
    """Status and body for an exception. What is none of ours is not told to the client."""
    status, kind, code = next(row[1:] for row in _TABLE if isinstance(exc, row[0]))
    message = str(exc) if isinstance(exc, Glm3EdgeError) else "internal error; see the server's log"
    param = exc.param if isinstance(exc, RequestError) else None
    return status, _reply(message, kind, param, code)


def install(app: FastAPI) -> None:
    """Answer every failure of ``app`` with an OpenAI error body."""
    app.add_exception_handler(Glm3EdgeError, _on_exception)
    app.add_exception_handler(Exception, _on_exception)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)


async def _on_exception(_request: Request, exc: Exception) -> Response:
    status, reply = describe(exc)
    response = _response(status, reply)
    if isinstance(exc, QueueFullError):
        response.headers["Retry-After"] = str(exc.retry_after)
    if isinstance(exc, TimeoutExceededError):  # OpenAI's clients would try again, and in vain
        response.headers["x-should-retry"] = "false"
    return response


async def _on_http_exception(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    message = f"{exc.detail}: {request.method} {request.url.path}"
    reply = _reply(message, _INVALID, None, _CODES.get(HTTPStatus(exc.status_code)))
    response = _response(exc.status_code, reply)
    response.headers.update(exc.headers or {})
    return response


async def _on_validation_error(_request: Request, exc: Exception) -> Response:
    if not isinstance(exc, RequestValidationError):
        raise exc
    first = exc.errors()[0]
    param = _path(first["loc"])
    message = f"{param or 'body'}: {first['msg']}"
    return _response(HTTPStatus.BAD_REQUEST, _reply(message, _INVALID, param, None))


def _path(location: tuple[str | int, ...]) -> str | None:
    """``("body", "messages", 0, "content", "str")`` as ``messages[0].content``.

    Pydantic appends the branch of a union that it tried; those names are no fields.
    """
    path = ""
    for part in location[1:]:
        if isinstance(part, int):
            path += f"[{part}]" if path else ""
        elif part in ("str", "constrained-str") or "[" in part:
            break
        else:
            path += f".{part}" if path else part
    return path or None


def _reply(message: str, kind: str, param: str | None, code: str | None) -> ErrorReply:
    return ErrorReply(error=ErrorDetail(message=message, type=kind, param=param, code=code))


def _response(status: int, reply: ErrorReply) -> Response:
    return Response(reply.model_dump_json(), status_code=status, media_type="application/json")
