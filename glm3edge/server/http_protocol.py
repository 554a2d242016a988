"""HTTP protocol for uvicorn that limits headers, notices each disconnect, and knows HTTP/1.0.

httptools keeps an unfinished line and copies it with each piece that arrives, so a header without
an end would take the memory, and soon all the time of the event loop.
"""

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from glm3edge.errors import InvalidRequestError, RequestError
from glm3edge.server.error_responses import describe
from glm3edge.server.middleware.request_id import new_request_id
from glm3edge.server.request_errors import HeadersTooLargeError

if TYPE_CHECKING:
    from uvicorn._types import (
        ASGI3Application,
        ASGIReceiveCallable,
        ASGISendCallable,
        ASGISendEvent,
        Scope,
    )

MAX_HEAD_BYTES = 2**16
"""Limit of the request line and headers, and of all else that is not a body: empty lines,
extensions of chunks, trailers."""

MAX_HEADERS = 100


class LimitedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which here answers 431 to headers that are too long or too many."""

    _num_pending = 0  # bytes received since the last headers or the last piece of a body
    _error: RequestError | None = None
    _answering: RequestResponseCycle | None = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and limit what it has received without an end."""
        self._num_pending += len(data)
        super().data_received(data)
        if self._num_pending > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._error = _too_large()
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """Limit headers that arrived in one piece. uvicorn treats any exception as bad HTTP."""
        self._num_pending = 0
        num_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if num_bytes > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._error = _too_large()
            raise self._error
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, which has a limit of its own."""
        self._num_pending = 0
        super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the request that is being answered. uvicorn notifies the one received last, which
        is another if the client pipelines requests."""
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        self._answering = cycle
        is_old = cycle.scope["http_version"] == "1.0"
        super()._start_asgi_task(cycle, _without_chunks(cycle, app) if is_old else app)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed with an error body, and close the connection."""
        status, reply = describe(self._error or InvalidRequestError(msg))
        body = reply.model_dump_json().encode()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(
                b"%scontent-type: application/json\r\ncontent-length: %d\r\n"
                b"x-request-id: %s\r\nconnection: close\r\n\r\n%s"
                % (STATUS_LINE[status], len(body), new_request_id().encode(), body)
            )
        self.transport.close()


def _without_chunks(cycle: RequestResponseCycle, app: "ASGI3Application") -> "ASGI3Application":
    """An application for HTTP/1.0, which knows no chunks: the end of the connection, which uvicorn
    closes, is that of a reply whose length was unknown. Nor does it know ``100 Continue``."""

    async def old(scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        async def send_plain(message: "ASGISendEvent") -> None:
            cycle.chunked_encoding = False
            if message["type"] == "http.response.body":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    cycle.waiting_for_100_continue = False
    return old


def _too_large() -> HeadersTooLargeError:
    return HeadersTooLargeError(max_bytes=MAX_HEAD_BYTES, max_headers=MAX_HEADERS)
