"""Limits of the time that a connection waits for its client, and of the number of connections.

A connection waits for its client except while a whole request is being answered:

    IDLE ──> HEAD ──> BODY ──> ANSWERING ──> IDLE
                                   └──> UNREAD ──> ANSWERING

Of too many connections, the one whose client has been silent for longest is closed; a request that
finds all of them answering gets 503.
"""

import sys
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from glm3edge.errors import InvalidRequestError, RequestError
from glm3edge.server.error_responses import describe
from glm3edge.server.middleware.request_id import new_request_id
from glm3edge.server.request_errors import RequestTimeoutError, TooManyConnectionsError

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application

SPARE_CONNECTIONS = 192
"""Connections beyond those of requests that run or wait."""

MAX_PIPELINED = 100
"""Requests that a client may send on one connection ahead of their responses."""


class Phase(Enum):
    """What a connection waits for."""

    IDLE = auto()
    """The first byte of a request."""
    HEAD = auto()
    """The end of a request's head, or of a body whose request has been answered already."""
    BODY = auto()
    """The next piece of a request's body."""
    ANSWERING = auto()
    """Not for its client."""
    UNREAD = auto()
    """That the client takes some of the response."""


TIME_LIMITS: Mapping[Phase, float] = {
    Phase.IDLE: 300,  # agents and proxies keep connections, and would retry no POST
    Phase.HEAD: 60,
    Phase.BODY: 120,
    Phase.UNREAD: 300,
}
"""Seconds that a connection waits; a body or response of which some moves may take any time."""


class _Reading(Enum):
    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class LimitedConnection(HttpToolsProtocol):
    """uvicorn's protocol, which waits for a limited time, on a limited number of connections.

    The number is uvicorn's ``limit_concurrency``, which counts idle connections too, but refuses
    the requests of all when they are too many.
    """

    time_limits: ClassVar[Mapping[Phase, float]] = TIME_LIMITS

    _answering: RequestResponseCycle | None = None
    _reading = _Reading.NOTHING
    _since = 0.0  # loop time of the client's last progress
    _num_unread = 0  # bytes of responses that the client had not taken at the last check
    _error: RequestError | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._max_connections = self.limit_concurrency or sys.maxsize
        self.limit_concurrency = None

    def connection_made(self, transport: "asyncio.Transport") -> None:  # type: ignore[override]
        """Begin to watch the time, and close another connection if there are too many."""
        super().connection_made(transport)
        self._progress()
        self._watch()
        if self._is_crowded:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the request that is being answered. uvicorn notifies the one received last, which
        is another if the client pipelines requests."""
        self._timer.cancel()
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Note the first byte of a request."""
        self._reading = _Reading.HEAD
        if self._phase is Phase.HEAD:  # none is being answered
            self._progress()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse a request for which there are too many others."""
        self._reading = _Reading.BODY
        if self._is_crowded:
            self._reject(TooManyConnectionsError(max_connections=self._max_connections))
        if len(self.pipeline) >= MAX_PIPELINED:
            message = f"more than {MAX_PIPELINED} requests were sent ahead of their responses"
            self._reject(InvalidRequestError(f"{message}; wait for those"))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note a piece of a body, unless its request has been answered."""
        if self._phase is Phase.BODY:
            self._progress()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        self._reading = _Reading.NOTHING
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._progress()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait until the client has taken some of the response."""
        self._progress()
        super().pause_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed with an error body, and close the connection."""
        status, reply = describe(self._error or InvalidRequestError(msg))
        body = reply.model_dump_json().encode()
        cycle = self._answering
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(
                b"%scontent-type: application/json\r\ncontent-length: %d\r\n"
                b"x-request-id: %s\r\nconnection: close\r\n\r\n%s"
                % (STATUS_LINE[status], len(body), new_request_id().encode(), body)
            )
        self._progress()
        self.transport.close()

    def _reject(self, exc: RequestError) -> NoReturn:
        """Answer ``exc``, from a callback of the parser: to uvicorn, any exception is bad HTTP."""
        self._error = exc
        raise exc

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        self._answering = cycle
        self._progress()
        super()._start_asgi_task(cycle, app)

    @property
    def _phase(self) -> Phase:
        cycle = self._answering
        if self.transport.is_closing() or self.flow.write_paused:
            return Phase.UNREAD
        if cycle is not None and not cycle.response_complete:
            return Phase.BODY if cycle.more_body else Phase.ANSWERING
        return Phase.IDLE if self._reading is _Reading.NOTHING else Phase.HEAD

    def _progress(self) -> None:
        self._since = self.loop.time()

    def _watch(self) -> None:
        """Check the time now, and again and again until the connection is lost."""
        self._timer = self.loop.call_later(min(self.time_limits.values()) / 4, self._watch)
        num_unread = self.transport.get_write_buffer_size()
        if num_unread < self._num_unread:
            self._progress()
        self._num_unread = num_unread
        phase = self._phase
        if phase is Phase.ANSWERING:
            return
        seconds = self.time_limits[phase]
        if self.loop.time() - self._since >= seconds:
            self._expire(phase, seconds)

    def _expire(self, phase: Phase, seconds: float) -> None:
        if phase is Phase.UNREAD:
            self.transport.abort()
        elif phase is Phase.BODY or self._reading is _Reading.HEAD:
            self._error = RequestTimeoutError(seconds)
            self.send_400_response("")
        else:
            self._progress()
            self.transport.close()

    @property
    def _is_crowded(self) -> bool:
        return len(self.connections) > self._max_connections

    def _make_room(self) -> None:
        """Close the connection that has waited for longest, if any other waits for its client."""
        waiting = [
            other
            for other in self.connections
            if isinstance(other, LimitedConnection)
            and other is not self
            and other._phase is not Phase.ANSWERING
        ]
        if waiting:
            silent = min(waiting, key=lambda other: other._since)
            self.connections.discard(silent)
            silent.transport.abort()
