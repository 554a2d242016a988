"""Several scripted replicas as one engine."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import pytest

from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.core import FinishReason
from glm3edge.engine.async_stream import stream_events
from glm3edge.engine.request import GenerationRequest
from glm3edge.errors import EngineError, InvalidRequestError, QueueFullError
from glm3edge.remote import engine as engine_module
from glm3edge.remote.engine import RemoteEngine
from glm3edge.remote.errors import EngineUnreachableError
from glm3edge.remote.router import Router
from glm3edge.remote.server import EngineServer
from tests.support.fake_engine import DONE, FakeServer, chunk, usage
from tests.support.fakes import EOS, USER, FakeVocabulary, spell
from tests.support.scripted_server import running
from tests.support.waiting import SECONDS

REPLY = [chunk(spell("ok")), chunk([EOS], "stop"), usage(), DONE]
BREAK = ConnectionResetError("cut off here")
REQUEST = partial(GenerationRequest, max_new_tokens=20, stop_token_ids=frozenset({EOS, USER}))


class Replicas:
    """Scripted servers, and the router over them."""

    def __init__(self, servers: dict[httpx.URL, FakeServer]) -> None:
        self.servers = servers

    def run(self, work: Callable[[Router], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            router = self._router()
            router.start(asyncio.get_running_loop().call_soon_threadsafe)
            try:
                return await asyncio.wait_for(work(router), SECONDS)
            finally:
                await asyncio.to_thread(router.close)
                assert router.num_running == router.num_waiting == 0

        return asyncio.run(main())

    def _router(self) -> Router:
        vocabulary = FakeVocabulary()
        engines = {
            str(url): RemoteEngine(
                EngineServer(
                    url=url,
                    api_key=None,
                    model="glm",
                    adapters=(),
                    context_size=64,
                    is_ours=False,
                ),
                vocabulary,
                max_running=2,
                max_waiting=2,
            )
            for url in self.servers
        }
        return Router(engines, SpecialTokens.of(vocabulary))

    def ranked(self, router: Router, prompt: str = "abc") -> list[FakeServer]:
        """Servers in the order in which a prompt goes to them."""
        names = router.rank(REQUEST(prompt_ids=spell(prompt)))
        return [self.servers[httpx.URL(name)] for name in names]


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    with ExitStack() as stack:
        fakes = [FakeServer() for _ in range(3)]
        urls = [stack.enter_context(running(fake.app)) for fake in fakes]
        yield Replicas(
            {httpx.URL(f"{url}/v1"): fake for url, fake in zip(urls, fakes, strict=True)}
        )


async def events_of(router: Router, prompt: str = "abc") -> list[Any]:
    events = stream_events(partial(router.generate, REQUEST(prompt_ids=spell(prompt))))
    return [event async for arrived in events for event in arrived]


def test_a_conversation_stays_where_it_is(replicas: Replicas) -> None:
    async def work(router: Router) -> None:
        first, second, third = replicas.ranked(router)
        first.replies = [REPLY] * 3
        for _ in range(3):
            *tokens, end = await events_of(router)
            assert "".join(event.text for event in tokens) == "ok"
            assert end.reason is FinishReason.STOP
        assert [len(one.bodies) for one in (first, second, third)] == [3, 0, 0]
        assert router.stats.endings == {FinishReason.STOP: 3}

    replicas.run(work)


@pytest.mark.parametrize(
    "fault",
    [
        {"refusal": (503, "loading")},
        {"refusal": (502, "bad gateway")},
        {"refusal": (500, "the engine core is dead")},
        {"refusal": (429, "full"), "headers": {"Retry-After": "5"}},
        {"refusal": (401, "whose key?")},
        {"replies": [[BREAK]]},
        {"replies": [[": keep-alive\n\n", BREAK]]},
        {"replies": [[{"error": {"message": "died", "code": 500}}]]},
        {"replies": [["data: nonsense\n\n"]]},
    ],
    ids=str,
)
def test_without_a_token_another_replica_answers(replicas: Replicas, fault: dict[str, Any]) -> None:
    async def work(router: Router) -> None:
        first, second, third = replicas.ranked(router)
        for name, value in fault.items():
            setattr(first, name, value)
        second.replies = [REPLY] * 2
        third.replies = [REPLY] * 2
        for _ in range(2):
            *tokens, end = await events_of(router)
            assert "".join(event.text for event in tokens) == "ok"
            assert end.reason is FinishReason.STOP
        # The one that failed rests: the second request did not go there.
        assert [len(one.bodies) for one in (first, second, third)] == [1, 2, 0]
        assert router.stats.endings == {FinishReason.STOP: 2}

    replicas.run(work)


def test_with_a_token_a_request_ends_where_it_is(replicas: Replicas) -> None:
    async def work(router: Router) -> None:
        first, *others = replicas.ranked(router)
        first.replies = [[chunk(spell("o")), BREAK]]
        with pytest.raises(EngineUnreachableError, match="its reply broke off"):
            await events_of(router)
        assert not any(one.bodies for one in others)

    replicas.run(work)


def test_a_request_that_is_wrong_is_tried_once(replicas: Replicas) -> None:
    async def work(router: Router) -> None:
        for one in replicas.servers.values():
            one.refusal = (400, "no such token")
        with pytest.raises(InvalidRequestError, match="no such token"):
            await events_of(router)
        assert sum(len(one.bodies) for one in replicas.servers.values()) == 1

    replicas.run(work)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((503, "loading"), EngineUnreachableError),
        ((429, "full"), QueueFullError),
        ((500, "?"), EngineError),
    ],
)
def test_no_replica_is_left(
    replicas: Replicas, refusal: tuple[int, str], error: type[Exception]
) -> None:
    async def work(router: Router) -> None:
        for one in replicas.servers.values():
            one.refusal = refusal
        with pytest.raises(error):
            await events_of(router)
        assert [len(one.bodies) for one in replicas.servers.values()] == [1, 1, 1]
        assert router.stats.endings == {FinishReason.ERROR: 1}

    replicas.run(work)


def test_load_spreads(replicas: Replicas) -> None:
    """Requests for one conversation at once: two replicas share them."""

    async def work(router: Router) -> None:
        for one in replicas.servers.values():
            one.replies = [[chunk(spell("o")), 60]] * 4
        cancels = [
            router.generate(REQUEST(prompt_ids=spell("abc")), lambda _event: None) for _ in range(6)
        ]
        while router.num_running < 6:  # noqa: ASYNC110 - what it waits for is on a server
            await asyncio.sleep(0.01)
        assert max(len(one.bodies) for one in replicas.servers.values()) == 3
        for cancel in cancels:
            cancel()
        while any(one.num_open for one in replicas.servers.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert router.stats.endings == {FinishReason.CANCELLED: 6}

    replicas.run(work)


def test_all_together_have_a_limit(replicas: Replicas) -> None:
    async def work(router: Router) -> None:
        for one in replicas.servers.values():
            one.replies = [[60]] * 4
        assert router.capacity == 12
        router.check_capacity(12)
        for _ in range(12):
            router.generate(REQUEST(prompt_ids=spell("abc")), lambda _event: None)
        with pytest.raises(QueueFullError):
            router.check_capacity()
        with pytest.raises(QueueFullError):
            router.generate(REQUEST(prompt_ids=spell("abc")), lambda _event: None)

    replicas.run(work)


def test_a_replica_that_freezes_loses_its_requests_to_others(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts connections and says nothing: only its health tells."""
    monkeypatch.setattr(engine_module, "_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(engine_module, "_RECHECK_SECONDS", 0.05)

    async def work(router: Router) -> None:
        first, *others = replicas.ranked(router)
        first.replies = [[120]]
        for one in others:
            one.replies = [REPLY]
        reply = asyncio.create_task(events_of(router))
        while not first.num_open:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        first.health = 503
        *_, end = await reply
        assert end.reason is FinishReason.STOP
        while all(one.is_healthy for one in router.replicas.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert router.problem is None
        for one in others:
            one.health = 503
        while router.is_healthy:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        with pytest.raises(EngineUnreachableError, match="/health answers 503"):
            router.check_capacity()

    replicas.run(work)
