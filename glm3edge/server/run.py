"""The uvicorn server: from a bound socket to a clean shutdown."""

import gc
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from glm3edge.server.allocator import return_large_blocks
from glm3edge.server.connection_limits import TIME_LIMITS, Phase
from glm3edge.server.http_protocol import LimitedHttpProtocol
from glm3edge.serving.services import Services

SHUTDOWN_SECONDS = 10
"""Time that open connections have to receive the end of their streams."""


class _Server(uvicorn.Server):
    """uvicorn's server, with callbacks once it serves and as soon as a signal stops it."""

    def __init__(
        self, config: uvicorn.Config, *, on_ready: Callable[[], None], on_exit: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_exit = on_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_exit()
        super().handle_exit(sig, frame)


def run(
    app: FastAPI,
    services: Services,
    sock: socket.socket,
    *,
    protocol: type[LimitedHttpProtocol],
    max_connections: int,
    on_ready: Callable[[], None],
) -> None:
    """Serve until SIGINT or SIGTERM. Open streams end with an error event then."""
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        limit_concurrency=max_connections,
        timeout_keep_alive=int(TIME_LIMITS[Phase.IDLE]),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config, on_ready=on_ready, on_exit=services.engine.request_close)
    # uvicorn raises the signal again once it has shut down, for the handler that it replaced.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)
    return_large_blocks()
    gc.freeze()  # collections during a request need not look at all that was imported
    server.run(sockets=[sock])


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    """Handler of the signal that uvicorn raises again: the server has stopped already."""
