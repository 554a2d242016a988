"""HTTP over TLS, where connections count from their first byte.

uvicorn's own TLS shows a connection to the protocol after the handshake only: those that never send
one would be neither counted nor closed, and take all file descriptors.
"""

import asyncio
import ssl
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from glm3edge.server.connection_limits import Phase
from glm3edge.server.http_protocol import LimitedHttpProtocol


class TlsHttpProtocol(LimitedHttpProtocol):
    """Protocol that begins with the server's side of a handshake; see ``http_protocol``."""

    context: ClassVar[ssl.SSLContext]

    _is_encrypted = False
    _handshake: "asyncio.Task[None] | None" = None
    _received = b""  # before the handshake, and later before its task has gone on

    def data_received(self, data: bytes) -> None:
        """Begin the handshake with the first bytes; all others have been decrypted."""
        if self._is_encrypted:
            super().data_received(data)
            return
        self._received += data
        if self._handshake is None:
            self.transport.pause_reading()
            self._handshake = self.loop.create_task(self._shake_hands(self.transport))
            # start_tls() will have called connection_made() by then, and not have read any more.
            self.loop.call_soon(self.loop.call_soon, self._replay)

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        try:
            encrypted = await self.loop.start_tls(
                transport,
                self,
                self.context,
                server_side=True,
                ssl_handshake_timeout=self.time_limits[Phase.HEAD],
            )
        except OSError as exc:  # among them ssl.SSLError, and that of the time
            transport.abort()
            self.connection_lost(exc)
            return
        if encrypted is None or encrypted.is_closing() or self not in self.connections:
            return
        self._is_encrypted = True
        HttpToolsProtocol.connection_made(self, encrypted)
        if self._received:
            self.data_received(self._received)

    def _replay(self) -> None:
        """Give the first bytes to the protocol that ``start_tls`` has put before this one."""
        protocol: Any = self.transport.get_protocol()
        data, self._received = self._received, b""
        if protocol is self or self.transport.is_closing():
            return
        if isinstance(protocol, asyncio.Protocol):  # Python 3.10's
            protocol.data_received(data)
            return
        while data:
            buffer = memoryview(protocol.get_buffer(len(data)))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            protocol.buffer_updated(size)
            data = data[size:]


def protocol_for(context: ssl.SSLContext | None) -> type[LimitedHttpProtocol]:
    """Protocol with this certificate and key, or of plain HTTP."""
    if context is None:
        return LimitedHttpProtocol
    return type("TlsHttpProtocol", (TlsHttpProtocol,), {"context": context})
