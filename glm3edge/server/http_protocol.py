"""HTTP protocol for uvicorn that limits headers, ignores upgrades and knows HTTP/1.0.

httptools keeps an unfinished line and copies it with each piece that arrives, so a header without
an end would take the memory, and soon all the time of the event loop.
"""

from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from glm3edge.server.connection_limits import LimitedConnection
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

_CHUNK_BYTES = 16
"""What a piece of a body may have around it."""


class LimitedHttpProtocol(LimitedConnection):
    """uvicorn's protocol, which here answers 431 to headers that are too long or too many."""

    _num_pending = 0  # bytes received since the last headers, without those of the body

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser = _Parser(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and limit what it has received without an end."""
        self._num_pending += len(data)
        super().data_received(data)
        if self._num_pending > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._error = _too_large()
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """Limit headers that arrived in one piece, and keep trailers out of them."""
        if self.is_upgrade:
            return
        self._num_pending = 0
        num_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if num_bytes > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._reject(_too_large())
        super().on_headers_complete()
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, which has a limit of its own."""
        self._num_pending = max(0, self._num_pending - len(body) - _CHUNK_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        if not self.is_upgrade:
            super().on_message_complete()

    @property
    def is_upgrade(self) -> bool:
        """Whether the headers ask for another protocol."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    @property
    def head_without_upgrade(self) -> bytes:
        """The request line and the headers, as if they asked for no other protocol."""
        line = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = [b"%s: %s\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        return b"%s %s HTTP/%s\r\n%s\r\n" % (*line, b"".join(headers))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        is_old = cycle.scope["http_version"] == "1.0"
        super()._start_asgi_task(cycle, _without_chunks(cycle, app) if is_old else app)


class _Parser(httptools.HttpRequestParser):
    """httptools' parser, which reads requests that ask for another protocol as if they did not.

    A server may ignore that (RFC 9110, 7.8), and Java's HttpClient asks for HTTP/2 in each request.
    httptools would take the body for the other protocol's first bytes, and then for a request.
    """

    def __init__(self, protocol: LimitedHttpProtocol) -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        """Parse ``data``, and what follows a head for another protocol with a fresh parser: this
        one may take the message for the last."""
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            protocol = self._protocol
            if not protocol.is_upgrade:
                raise
            head, rest = protocol.head_without_upgrade, data[exc.args[0] :]
            protocol.parser = _Parser(protocol)
            protocol.parser.feed_data(head + rest)


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
