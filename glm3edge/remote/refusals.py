"""Errors of a remote engine's answers, from their statuses and bodies."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

from glm3edge.errors import EngineError, InvalidRequestError, QueueFullError, excerpt
from glm3edge.remote.errors import EngineUnreachableError

_MAX_CHARS = 300
_AWAY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
_KEY = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


def refusal(response: httpx.Response, data: bytes, *, num_waiting: int) -> Exception:
    """Error for an answer that has a status of failure."""
    status, message = response.status_code, message_of(data)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = response.headers.get("Retry-After", "")
        retry_after = int(seconds) if seconds.isdecimal() else 1
        return QueueFullError(num_waiting=num_waiting, retry_after=retry_after)
    if status in _AWAY:
        return EngineUnreachableError(message)
    if status in _KEY:
        return EngineError("the engine refuses this server's key: give it with --engine-key")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return InvalidRequestError(f"the engine refuses the request: {message}")
    return EngineError(f"the engine failed: {message}")


def error_in(chunk: Mapping[str, Any]) -> Exception:
    """Error of an event that ends a stream in place of the rest."""
    error = chunk["error"]
    fields = error if isinstance(error, dict) else {}
    message = message_of(json.dumps(chunk).encode())
    if fields.get("code") in ("engine_lost", "server_shutting_down"):
        return EngineUnreachableError(message)
    if fields.get("type") == "invalid_request_error":
        return InvalidRequestError(f"the engine refuses the request: {message}")
    return EngineError(f"the engine failed: {message}")


def message_of(data: bytes) -> str:
    """Message of an error body, or its first line if it is in another form."""
    try:
        error = json.loads(data)["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        message = data.decode(errors="replace").strip().partition("\n")[0]
    return excerpt(str(message), _MAX_CHARS)
