"""HTTP client of the benchmark, which takes little of the cores that it shares with the server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

_TOGETHER_SECONDS = 0.0005
"""Deltas that are closer count as sent together."""


class BenchError(Exception):
    """A server cannot be measured."""


@dataclass
class Timing:
    """Times of one request, in monotonic seconds.

    Attributes:
        started: when it was sent.
        arrivals: when each event with a delta arrived.
        ended: when the last byte arrived.
        usage: the reply's usage, if it has one.
    """

    started: float
    arrivals: list[float] = field(default_factory=list)
    ended: float = 0.0
    usage: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds from the request to the last byte."""
        return self.ended - self.started

    @property
    def first_token(self) -> float:
        """Seconds from request to the first delta."""
        if not self.arrivals:
            raise BenchError("a stream had no delta")
        return self.arrivals[0] - self.started

    @property
    def gaps(self) -> list[float]:
        """Seconds between deltas; deltas that were sent together count once."""
        gaps = [b - a for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)]
        return [gap for gap in gaps if gap > _TOGETHER_SECONDS]


async def post(port: int, path: str, body: dict[str, Any]) -> tuple[Timing, dict[str, Any]]:
    """Send ``body`` and read the whole reply as JSON.

    Raises:
        BenchError: the server refused.
    """
    async with _sent(port, path, body) as (timing, reader):
        data = await _read_body(reader)
        timing.ended = time.perf_counter()
    reply: dict[str, Any] = json.loads(data)
    timing.usage = reply.get("usage") or {}
    return timing, reply


async def stream(port: int, path: str, body: dict[str, Any]) -> Timing:
    """Send ``body`` and read the events of the reply.

    Raises:
        BenchError: the server refused.
    """
    async with _sent(port, path, body) as (timing, reader):
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                _read_event(line, timing)
            elif line.startswith(b"data: [DONE]"):
                break
        timing.ended = time.perf_counter()
    return timing


def _read_event(line: bytes, timing: Timing) -> None:
    now = time.perf_counter()
    if b'"choices":[]' in line or b'"finish_reason":"' in line:
        timing.usage = json.loads(line[6:]).get("usage") or timing.usage
    elif b'"content"' in line and b'"role"' not in line:
        timing.arrivals.append(now)


@asynccontextmanager
async def connection(port: int, path: str, data: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """Post ``data`` over a new connection, and give the reader of the reply."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    try:
        writer.write(head.encode() + data)
        yield reader
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def _sent(
    port: int, path: str, body: dict[str, Any]
) -> AsyncIterator[tuple[Timing, asyncio.StreamReader]]:
    """Post ``body`` and give its timing and the reader, once the server has answered 200."""
    data = json.dumps(body, ensure_ascii=False).encode()
    timing = Timing(time.perf_counter())
    async with connection(port, path, data) as reader:
        status = await reader.readline()
        if b" 200 " not in status:
            rest = (await reader.read(2000)).decode(errors="replace")
            raise BenchError(f"{path} answered {status.decode().strip()}: {rest.strip()[-500:]}")
        yield timing, reader


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    """Read the headers and the whole body, chunked or not."""
    is_chunked = False
    while (line := await reader.readline()).strip():
        is_chunked |= line.lower().startswith(b"transfer-encoding: chunked")
    if not is_chunked:
        return await reader.read()
    body = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        body += await reader.readexactly(size)
        await reader.readline()
    return body
