"""Limits of request bodies: length, depth and number of values, checked before parsing.

They bound the time of parsing and validation: 0.2 s.
"""

import gc
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glm3edge import limits
from glm3edge.errors import InvalidRequestError, RequestError
from glm3edge.server.error_responses import response
from glm3edge.server.request_errors import BodyTooLargeError, ContentEncodingError
from glm3edge.server.threads import in_thread

_BLOCK_BYTES = 2**20
_LARGE_BYTES = 2**16  # after which it pays to look for what only cycles hold
_QUOTE = ord('"')
_STEPS = np.zeros(256, np.int8)  # what a byte outside of strings adds to the depth
_STEPS[[*b"[{"]] = 1
_STEPS[[*b"]}"]] = -1


class Shape(NamedTuple):
    """Measurements of JSON text, outside of strings.

    Attributes:
        depth: levels of nested arrays and objects.
        counts: occurrences of each byte.
    """

    depth: int
    counts: NDArray[np.int64]


class BodyLimit:
    """Reads a request's whole body, and passes it on if it is within the limits.

    Every route takes JSON, which cannot be parsed before its end anyway.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_announced(Headers(scope=scope))
            body = await self._read(receive)
            if len(body) > _BLOCK_BYTES:
                await in_thread(check_json, body)
            else:  # a few milliseconds at the most
                check_json(body)
        except ClientDisconnect:
            return
        except RequestError as exc:
            await response(exc, scope)(scope, receive, send)
            return
        try:
            await self._app(scope, _replayed(body, receive), send)
        finally:
            if len(body) > _LARGE_BYTES:
                await in_thread(gc.collect)

    def _check_announced(self, headers: Headers) -> None:
        """Refuse by its headers a body that is compressed or over the limit, without reading it."""
        encoding = ", ".join(headers.getlist("content-encoding"))
        if any(coding.strip().lower() not in ("", "identity") for coding in encoding.split(",")):
            raise ContentEncodingError(encoding)
        content_length = headers.get("content-length", "")
        if content_length.isdecimal() and int(content_length) > self._max_bytes:
            self._refuse()

    async def _read(self, receive: Receive) -> bytes:
        """Read the body, counting as it arrives since its length may be unknown.

        Raises:
            BodyTooLargeError: it is longer than the limit.
            ClientDisconnect: the client disconnected before its end.
        """
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                self._refuse()
            if not message.get("more_body", False):
                return bytes(body)

    def _refuse(self) -> NoReturn:
        raise BodyTooLargeError(max_bytes=self._max_bytes)


def check_json(body: bytes) -> None:
    """Check depth and number of values of a body; whether it is JSON is left to the parser.

    Raises:
        InvalidRequestError: it is nested too deeply, has too many values, or breaks RFC 8259 in
            ways that Python's parser allows: not in UTF-8, or with NaN or Infinity.
    """
    if b"\0" in body:  # never in JSON, and always in UTF-16, which measure() would misread
        raise InvalidRequestError("the body is not JSON in UTF-8")
    shape = measure(body)
    if shape.depth > limits.MAX_DEPTH:
        raise InvalidRequestError(
            f"the body nests arrays and objects more than {limits.MAX_DEPTH} levels deep; make it "
            "flatter"
        )
    if shape.counts[[*b"NI"]].any():  # Python's parser takes them
        raise InvalidRequestError("the body is not JSON, which has no NaN or Infinity")
    for what, (marks, most) in limits.MAX_COUNTS.items():
        if shape.counts[[*marks]].sum() > most:
            raise InvalidRequestError(
                f"the body has more than {most} {what}; make it smaller or send several"
            )


def measure(body: bytes) -> Shape:
    """Measure JSON text; for invalid JSON, up to where a parser stops, no number is too low."""
    deepest = level = 0
    in_string = False
    counts = np.zeros(256, np.int64)
    for text in _without_escapes(body):
        codes = np.frombuffer(text, np.uint8)
        inside = np.logical_xor.accumulate(codes == _QUOTE) ^ in_string
        in_string = bool(inside[-1])
        outside = codes[~inside]
        counts += np.bincount(outside, minlength=256)
        steps = _STEPS[outside]
        deepest = max(deepest, level + int(np.cumsum(steps, dtype=np.int32).max(initial=0)))
        level += int(steps.sum())
    return Shape(deepest, counts)


def _without_escapes(body: bytes) -> Iterator[bytes]:
    """``body`` in blocks, without escapes: every quote then begins or ends a string."""
    rest = b""  # a backslash whose character is in the next block
    for start in range(0, len(body), _BLOCK_BYTES):
        block = rest + body[start : start + _BLOCK_BYTES]
        rest = b"\\" if (len(block) - len(block.rstrip(b"\\"))) % 2 else b""
        text = block.removesuffix(rest).replace(b"\\\\", b"").replace(b'\\"', b"")
        if text:
            yield text


def _replayed(body: bytes, receive: Receive) -> Receive:
    """``receive`` that gives ``body`` first, as if it had not been read."""
    is_read = False

    async def replay() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
