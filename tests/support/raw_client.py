"""HTTP written and read byte by byte."""

import socket
from contextlib import suppress
from http.client import HTTPResponse

from tests.support.waiting import SECONDS

CHAT = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(url: str) -> socket.socket:
    """Connection to the server at ``url``."""
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), SECONDS)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    received = b""
    with suppress(ConnectionError):
        while part := sock.recv(2**16):
            received += part
    return received


def read_response(sock: socket.socket) -> int:
    """Read one whole response; its status."""
    response = HTTPResponse(sock)
    response.begin()
    response.read()
    return response.status


def statuses(received: bytes) -> list[int]:
    """Statuses of the responses."""
    parts = received.split(b"HTTP/1.1 ")
    return [int(part[:3]) for part in parts[1:]]
