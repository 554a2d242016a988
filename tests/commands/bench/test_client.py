"""The measuring client against small servers that say what a test tells them to."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from glm3edge.commands.bench.client import BenchError, Timing, post, stream

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENTS = [
    'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
    'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n',
    ": ping\n\n",
    'data: {"choices":[{"delta":{"content":"b"},"finish_reason":null}]}\n\n',
    'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    'data: {"choices":[],"usage":{"completion_tokens":3}}\n\n',
    "data: [DONE]\n\n",
]


class _Clock:
    """Stands in for ``time``: each reading is a second after the last."""

    def __init__(self) -> None:
        self._seconds = itertools.count(1)

    def perf_counter(self) -> float:
        return next(self._seconds)


def served(parts: list[str], work: Callable[[int], Coroutine[Any, Any, Any]]) -> Any:
    """The result of ``work`` with the port of a server that sends ``parts`` one by one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part.encode())
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        answered.set()

    answered = asyncio.Event()

    async def main() -> Any:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            try:
                return await work(server.sockets[0].getsockname()[1])
            finally:
                await answered.wait()

    return asyncio.run(main())


def test_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is read when the request is sent, at each event with choices, and at the end."""
    monkeypatch.setattr("glm3edge.commands.bench.client.time", _Clock())
    timing = served([HEAD + "\r\n", *EVENTS], lambda port: stream(port, "/", {}))
    assert timing == Timing(1, arrivals=[3, 4], ended=7, usage={"completion_tokens": 3})
    assert (timing.first_token, timing.gaps, timing.seconds) == (2, [1], 6)


def test_deltas_that_come_together_have_no_gap() -> None:
    assert Timing(0.0, [1.0, 1.0001, 1.0002, 1.5, 1.5001, 2.5]).gaps == pytest.approx(
        [0.4998, 0.9999]
    )


def test_a_stream_without_a_token() -> None:
    timing = served([HEAD + "\r\n", EVENTS[-1]], lambda port: stream(port, "/", {}))
    with pytest.raises(BenchError, match="no delta"):
        _ = timing.first_token


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD + "\r\n", '{"usage": {"x"', ": 1}}"],
        [
            HEAD + "Transfer-Encoding: chunked\r\n\r\n",
            '5\r\n{"usa\r\n',
            'E\r\nge": {"x": 1}}\r\n0\r\n\r\n',
        ],
    ],
)
def test_a_whole_reply(parts: list[str]) -> None:
    timing, reply = served(parts, lambda port: post(port, "/", {}))
    assert reply == {"usage": {"x": 1}}
    assert timing.usage == {"x": 1}
    assert timing.seconds > 0


def test_a_refusal_says_what_was_said() -> None:
    parts = ["HTTP/1.1 501 Not Implemented\r\n\r\nno embeddings here"]
    with pytest.raises(BenchError, match=r"501 Not Implemented: .*no embeddings here"):
        served(parts, lambda port: post(port, "/v1/embeddings", {}))
