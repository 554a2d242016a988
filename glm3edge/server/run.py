"""The uvicorn server: from a bound socket to a clean shutdown."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from glm3edge.server.allocator import return_large_blocks
from glm3edge.server.app import begin
from glm3edge.server.connection_limits import TIME_LIMITS, Phase
from glm3edge.server.http_protocol import LimitedHttpProtocol
from glm3edge.serving.services import Services

SHUTDOWN_SECONDS = 10
"""Time that open connections have to receive the end of their streams."""

_WAIT_SECONDS = 1  # with an end, so that Ctrl+C works on Windows too


class _Server(uvicorn.Server):
    """uvicorn's server, which tells its event loop once it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.loop = Future[asyncio.AbstractEventLoop]()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop.set_result(asyncio.get_running_loop())


class ServerThread:
    """The server in a thread of its own: it answers while the main thread finds and loads a model.

    Signals come to the main thread, and interrupt what it does.
    """

    def __init__(
        self,
        app: FastAPI,
        sock: socket.socket,
        *,
        protocol: type[LimitedHttpProtocol],
        max_connections: int,
    ) -> None:
        """Answer with ``app`` on ``sock``."""
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
        self._app = app
        self._server = _Server(config)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="server")
        self._ending = self._executor.submit(self._server.run, [sock])

    def __enter__(self) -> "ServerThread":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.should_exit = True
        self._executor.shutdown()

    def begin(self, services: Services) -> None:
        """Serve with ``services`` from now on."""
        either: list[Future[Any]] = [self._server.loop, self._ending]
        wait(either, return_when=FIRST_COMPLETED)
        if self._ending.done():
            self._ending.result()  # raises what ended it
        loop = self._server.loop.result()
        asyncio.run_coroutine_threadsafe(begin(self._app, services), loop).result()

    def serve(self, services: Services, *, on_ready: Callable[[], None]) -> None:
        """Serve with ``services`` until SIGINT or SIGTERM. Open streams end with an error event
        then."""

        def stop(number: int, frame: FrameType | None) -> None:
            services.engine.request_close()
            self._server.handle_exit(number, frame)

        self.begin(services)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        return_large_blocks()
        gc.freeze()  # collections during a request need not look at all that was imported
        on_ready()
        while not wait([self._ending], _WAIT_SECONDS).done:
            pass
        self._ending.result()
