"""Bodies: how long they may be, and how deep. Both are looked at before anything is parsed."""

from typing import NoReturn

import numpy as np
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glm3edge.errors import BodyTooLargeError, InvalidRequestError, RequestError
from glm3edge.server.errors import response

MAX_DEPTH = 100
"""Levels that arrays and objects of a body may nest: far more than any schema has, far fewer than
Python's recursion or llguidance's takes."""

_BLOCK_BYTES = 2**20
_QUOTE = ord('"')
_STEPS = np.zeros(256, np.int8)  # what a byte outside of strings adds to the depth
_STEPS[[*b"[{"]] = 1
_STEPS[[*b"]}"]] = -1


class BodyLimit:
    """Reads a request's body whole, and passes it on if it is neither too long nor too deep.

    Every route takes JSON, so nothing is lost by waiting for the end.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_announced(Headers(scope=scope).get("content-length", ""))
            body = await self._read(receive)
            check_json(body)
        except ClientDisconnect:
            return
        except RequestError as exc:
            await response(exc, path=scope["path"])(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)

    def _check_announced(self, content_length: str) -> None:
        """Refuse at once what says that it will be too long."""
        if content_length.isdecimal() and int(content_length) > self._max_bytes:
            self._refuse()

    async def _read(self, receive: Receive) -> bytes:
        """The body, counted as it comes: its length may be unknown.

        Raises:
            BodyTooLargeError: it is longer than it may be.
            ClientDisconnect: the client left before its end.
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
    """Look at a body that ought to be JSON; whether it is, its parser finds out.

    Raises:
        InvalidRequestError: it is nested too deeply, or no UTF-8 (RFC 8259, 8.1).
    """
    if b"\0" in body:  # never in JSON, and always in UTF-16, where depth() would be misled
        raise InvalidRequestError("the body is not JSON in UTF-8")
    if depth(body) > MAX_DEPTH:
        raise InvalidRequestError(
            f"the body nests arrays and objects more than {MAX_DEPTH} levels deep; make it flatter"
        )


def depth(body: bytes) -> int:
    """How many levels arrays and objects nest in JSON text; never too few where a parser gets.

    Text that opens no more than MAX_DEPTH brackets is not looked at: 0.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # what is left are quotes of strings
    deepest = level = 0
    in_string = False
    for start in range(0, len(text), _BLOCK_BYTES):  # of any length in the same memory
        block = np.frombuffer(text, np.uint8, min(_BLOCK_BYTES, len(text) - start), start)
        inside = np.logical_xor.accumulate(block == _QUOTE) ^ in_string
        levels = level + np.cumsum(_STEPS[block] * ~inside, dtype=np.int32)
        deepest, level, in_string = (
            max(deepest, int(levels.max())),
            int(levels[-1]),
            bool(inside[-1]),
        )
    return deepest


def _replayed(body: bytes, receive: Receive) -> Receive:
    """``receive`` as it was before the body was read."""
    is_read = False

    async def replay() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
