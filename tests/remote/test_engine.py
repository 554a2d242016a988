"""The remote engine over a scripted server."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import pytest

from glm3edge.core import (
    FinishReason,
    GenerationFinished,
    Priority,
    SamplingParams,
    TokenEvent,
    TokenLogprobs,
)
from glm3edge.engine.async_stream import stream_events
from glm3edge.engine.request import GenerationRequest
from glm3edge.errors import (
    EngineClosedError,
    EngineError,
    InvalidRequestError,
    QueueFullError,
    TimeoutExceededError,
)
from glm3edge.remote import engine as engine_module
from glm3edge.remote.engine import RemoteEngine
from glm3edge.remote.errors import EngineUnreachableError
from glm3edge.remote.server import EngineServer
from tests.support.fake_engine import DONE, FakeServer, chunk, usage
from tests.support.fakes import ASSISTANT, EOS, USER, FakeVocabulary, spell
from tests.support.waiting import SECONDS

Work = Callable[[RemoteEngine], Awaitable[Any]]
REQUEST = partial(
    GenerationRequest,
    prompt_ids=spell("abc"),
    max_new_tokens=20,
    stop_token_ids=frozenset({EOS, USER}),
)


def run(url: httpx.URL, work: Work, *, is_ours: bool = False, **options: Any) -> Any:
    """The result of ``work`` with an engine on the server at ``url``."""
    server = EngineServer(
        url=url,
        api_key="secret",
        model="glm",
        adapters=("mine",),
        context_size=64,
        is_ours=is_ours,
    )

    async def main() -> Any:
        engine = RemoteEngine(
            server, FakeVocabulary(), **{"max_running": 2, "max_waiting": 2, **options}
        )
        engine.start(asyncio.get_running_loop().call_soon_threadsafe)
        try:
            return await asyncio.wait_for(work(engine), SECONDS)
        finally:
            await asyncio.to_thread(engine.close)
            engine.close()  # again and on the loop, where it waited for itself once
            assert engine.num_running == engine.num_waiting == 0

    return asyncio.run(main())


async def events_of(engine: RemoteEngine, **fields: Any) -> list[Any]:
    events = stream_events(partial(engine.generate, REQUEST(**fields)))
    return [event async for arrived in events for event in arrived]


def generate(url: httpx.URL, **fields: Any) -> list[Any]:
    found: list[Any] = run(url, partial(events_of, **fields))
    return found


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what it waits for is on a server
        await asyncio.sleep(0.01)


def test_several_ids_a_chunk(url: httpx.URL, fake: FakeServer) -> None:
    """As vLLM sends them, the token that ends the reply included."""
    parts = [chunk(spell("你")[:2]), chunk([*spell("你")[2:], *spell("x")])]
    fake.replies = [[*parts, chunk([USER], "stop"), usage(2), DONE]]
    *tokens, end = generate(url)
    assert [(event.token_id, event.text) for event in tokens] == list(
        zip(spell("你x"), ["", "", "你", "x"], strict=True)
    )
    assert end == GenerationFinished(
        FinishReason.STOP, num_completion_tokens=5, num_cached_tokens=2, stop_token_id=USER
    )


def test_what_is_asked_for(url: httpx.URL, fake: FakeServer) -> None:
    fake.replies = [[chunk([EOS], "stop")]] * 2
    sampling = SamplingParams(temperature=0.5, seed=7, logit_bias=((5, -100),))
    fields = {"sampling": sampling, "max_hidden_tokens": 8, "adapter": 1, "num_logprobs": 3}
    generate(url, **fields, priority=Priority.BACKGROUND, grammar='start: "a"')
    run(url, partial(events_of, priority=Priority.BACKGROUND), is_ours=True)
    full, ours = fake.bodies
    assert full == {
        "model": "mine",
        "prompt": spell("abc"),
        "max_tokens": 28,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
        "logprobs": 3,
        "stop_token_ids": [EOS, USER],
        "structured_outputs": {"grammar": 'start: "a"'},
        "priority": 1,
        "temperature": 0.5,
        "seed": 7,
        "logit_bias": {"5": -100},
        "top_k": 50,
        "top_p": 0.8,
        "min_p": 0,
        "repetition_penalty": 1.1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
    }
    assert ours["priority"] == "background"
    assert not {"seed", "logit_bias", "logprobs", "structured_outputs"} & ours.keys()


def test_logprobs_are_sorted_and_as_many_as_were_asked_for(
    url: httpx.URL, fake: FakeServer
) -> None:
    fake.replies = [[chunk([*spell("a"), EOS], "stop", logprobs=[-1.0, -2.0])]]
    token, _ = generate(url, num_logprobs=2)
    assert token.logprobs == TokenLogprobs(-1.0, ((9, -0.75), (spell("a")[0], -1.0)))


def test_a_stop_string_ends_the_request_there(url: httpx.URL, fake: FakeServer) -> None:
    fake.replies = [[*[chunk(spell(char)) for char in "hello"], 60, chunk([EOS], "stop")]]

    async def main(engine: RemoteEngine) -> list[Any]:
        found = await events_of(engine, stop_strings=("ll",))
        await until(lambda: fake.num_open == 0)
        return found

    found = run(url, main)
    assert "".join(event.text for event in found) == "he"
    assert found[-1].stop_string == "ll"


def test_the_limit_leaves_hidden_tokens_out(url: httpx.URL, fake: FakeServer) -> None:
    fake.replies = [[chunk(spell("\n a b c")), 60]]
    found = generate(url, max_new_tokens=3, max_hidden_tokens=2)
    assert "".join(event.text for event in found) == "\n a b"
    assert found[-1].reason is FinishReason.LENGTH


def test_an_ending_without_its_token(url: httpx.URL, fake: FakeServer) -> None:
    fake.replies = [[chunk(spell("a"), "length")], [chunk(spell("a"), "stop")]]
    assert [generate(url)[-1].reason for _ in range(2)] == [FinishReason.LENGTH, FinishReason.STOP]


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (RuntimeError("broken off"), EngineUnreachableError),
        ("", EngineUnreachableError),
        (DONE, EngineUnreachableError),
        ({"error": {"message": "CUDA out of memory"}}, EngineError),
        ({"error": {"message": "m", "code": "engine_lost"}}, EngineUnreachableError),
        ("data: {nothing\n\n", EngineError),
        ("data: 5\n\n", EngineError),
        (chunk(["x"]), EngineError),  # type: ignore[list-item]
        (chunk([], "abort"), EngineError),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reply_that_fails_ends_once_with_an_error(
    url: httpx.URL, fake: FakeServer, last: Any, kind: type[Exception]
) -> None:
    fake.replies = [[chunk(spell("a")), 0.05, last]]

    async def main(engine: RemoteEngine) -> list[Any]:
        events: list[Any] = []
        engine.generate(REQUEST(), events.append)
        await until(lambda: engine.num_running + engine.num_waiting == 0)
        await asyncio.sleep(0.05)
        assert engine.stats.endings == {FinishReason.ERROR: 1}
        return events

    token, end = run(url, main)
    assert token == TokenEvent(spell("a")[0], "a")
    assert end.reason is FinishReason.ERROR
    assert type(end.error) is kind
    assert "127.0.0.1" not in str(end.error)


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, InvalidRequestError, "refuses the request: why"),
        (404, InvalidRequestError, "refuses the request: why"),
        (401, EngineError, "--engine-key"),
        (429, QueueFullError, "again in 7 s"),
        (500, EngineError, "failed: why"),
        (503, EngineUnreachableError, "at the moment: why"),
    ],
)
def test_refusals(
    url: httpx.URL, fake: FakeServer, status: int, kind: type[Exception], message: str
) -> None:
    fake.refusal, fake.headers = (status, "why"), {"Retry-After": "7"}
    with pytest.raises(kind, match=message):
        generate(url)


def test_leaving_ends_the_request_there(url: httpx.URL, fake: FakeServer) -> None:
    fake.replies = [[chunk(spell("a")), 60]]

    async def main(engine: RemoteEngine) -> None:
        events: list[Any] = []
        cancel = engine.generate(REQUEST(), events.append)
        await until(lambda: engine.num_running == 1)
        cancel()
        await until(lambda: fake.num_open == 0)
        assert [event.reason for event in events[1:]] == [FinishReason.CANCELLED]
        engine.generate(REQUEST(), events.append)()  # before it began
        await until(lambda: len(events) == 3)
        assert events[-1].reason is FinishReason.CANCELLED
        assert len(fake.bodies) == 1

    run(url, main)


def test_closing_ends_all(url: httpx.URL, fake: FakeServer) -> None:
    fake.replies = [[chunk(spell("a")), 60]] * 2

    async def main(engine: RemoteEngine) -> None:
        events: list[Any] = []
        for _ in range(2):
            engine.generate(REQUEST(), events.append)
        await until(lambda: engine.num_running == 2)
        await asyncio.to_thread(engine.close)
        errors = [event.error for event in events if isinstance(event, GenerationFinished)]
        assert [type(error) for error in errors] == [EngineClosedError] * 2
        with pytest.raises(EngineClosedError):
            engine.generate(REQUEST(), events.append)

    run(url, main)


def test_more_than_may_wait_are_refused(url: httpx.URL, fake: FakeServer) -> None:
    fake.replies = [[60]] * 4

    async def main(engine: RemoteEngine) -> None:
        for _ in range(4):
            engine.generate(REQUEST(), print)
        assert engine.num_waiting == 4
        with pytest.raises(QueueFullError):
            engine.generate(REQUEST(), print)

    run(url, main)


def test_a_reply_has_its_time(url: httpx.URL, fake: FakeServer) -> None:
    fake.replies = [[chunk(spell("a")), 60]]
    with pytest.raises(TimeoutExceededError):
        run(url, events_of, timeout=0.2)


def test_what_the_engine_cannot_do_is_no_request(url: httpx.URL) -> None:
    async def main(engine: RemoteEngine) -> None:
        with pytest.raises(ValueError, match="fit the context"):
            engine.generate(REQUEST(max_new_tokens=64), print)
        with pytest.raises(ValueError, match="begun"):
            engine.generate(REQUEST(grammar="g", begun_ids=(ASSISTANT,)), print)

    run(url, main)


def test_health_is_watched(
    url: httpx.URL, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_RECHECK_SECONDS", 0.01)
    fake.health, fake.refusal = 503, (503, "gone")

    async def main(engine: RemoteEngine) -> None:
        await until(lambda: not engine.is_healthy)
        assert engine.problem == "/health answers 503"
        with pytest.raises(EngineUnreachableError):
            engine.check_capacity()
        fake.health = 200
        await until(lambda: engine.is_healthy)
        fake.health = 503  # a failed request makes it look at once
        with pytest.raises(EngineUnreachableError):
            await events_of(engine)
        await until(lambda: not engine.is_healthy)

    run(url, main)


def test_a_server_without_a_route_for_its_health(url: httpx.URL, fake: FakeServer) -> None:
    fake.health, fake.replies = 404, [[chunk([EOS], "stop")]]
    assert generate(url)[-1].reason is FinishReason.STOP
