"""The bridge to asyncio, over a scripted backend."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from glm3edge.engine.async_stream import stream_events
from glm3edge.engine.engine import Engine
from glm3edge.engine.request import GenerationRequest
from glm3edge.errors import QueueFullError
from tests.support.fakes import EOS, FakeBackend, say, spell

REQUEST = GenerationRequest(
    prompt_ids=spell("x"), max_new_tokens=8, stop_token_ids=frozenset({EOS})
)


@pytest.fixture
def backend() -> FakeBackend:
    backend = FakeBackend(reply_for=say("ok"))
    backend.gate = threading.Semaphore(0)
    return backend


@pytest.fixture
def engine(backend: FakeBackend) -> Iterator[Engine]:
    engine = Engine(backend, max_running=1, max_waiting=0, use_drafts=False)
    yield engine
    engine.close()


async def text(engine: Engine, *, waits: bool = False) -> str:
    events = stream_events(partial(engine.generate, REQUEST), waits=waits)
    return "".join([event.text async for arrived in events for event in arrived])


def test_a_full_queue_is_waited_for_where_that_is_wanted(
    engine: Engine, backend: FakeBackend
) -> None:
    async def main() -> None:
        engine.start(asyncio.get_running_loop().call_soon_threadsafe)
        first = asyncio.ensure_future(text(engine))
        await asyncio.sleep(0.05)
        with pytest.raises(QueueFullError):
            await text(engine)
        second = asyncio.ensure_future(text(engine, waits=True))
        await asyncio.sleep(0.05)
        assert not second.done()
        assert backend.gate is not None
        backend.gate.release(100)
        assert [await first, await second] == ["ok", "ok"]

    asyncio.run(main())
