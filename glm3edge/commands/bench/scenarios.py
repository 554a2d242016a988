"""Scenarios of the benchmark; each measures one number of a server."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from glm3edge.commands.bench.client import BenchError, Timing, post, stream
from glm3edge.commands.bench.systems import System, running

if TYPE_CHECKING:
    from glm3edge.commands.bench.bare import BareLoop

_CHAT = "/v1/chat/completions"
_SENTENCE = "请用几句话介绍这个地方的历史、风景和美食，并说明怎样去那里最方便。"
_numbers = count(1)  # no two prompts begin alike, so that none is in the KV cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Load of the scenarios.

    Attributes:
        num_tokens: tokens of each reply.
        num_requests: replies one after another.
        num_clients: clients at once.
        num_rounds: requests of each client.
        num_prompt_sentences: length of a long prompt.
        num_texts: texts to embed.
    """

    num_tokens: int = 64
    num_requests: int = 8
    num_clients: int = 16
    num_rounds: int = 3
    num_prompt_sentences: int = 24
    num_texts: int = 32


@dataclass(frozen=True, slots=True)
class Scenario:
    """Scenario of the benchmark.

    Attributes:
        name: in tables.
        unit: of its number.
        measure: measures the server on a port.
        bare: measures the bare loop, where that makes sense.
        measure_restart: measures a system that it starts itself; then there is no ``measure``.
    """

    name: str
    unit: str
    measure: Callable[[int, Load], Awaitable[float]] | None = None
    bare: "Callable[[BareLoop, Load], float] | None" = None
    measure_restart: Callable[[System, Load], Awaitable[float]] | None = None


def body(text: str, num_tokens: int, **fields: Any) -> dict[str, Any]:
    """Body of a request for ``num_tokens`` tokens, decoded greedily."""
    return {
        "model": "any",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": num_tokens,
        "temperature": 0,
        "repetition_penalty": 1.0,
        **fields,
    }


def prompt(num_sentences: int = 1) -> str:
    """Prompt that shares no prefix with another."""
    return f"{next(_numbers)}。" + _SENTENCE * num_sentences


def _num_tokens(timing: Timing) -> int:
    number = timing.usage.get("completion_tokens")
    if not isinstance(number, int):
        raise BenchError("a reply has no completion_tokens")
    return number


async def _one_stream(port: int, load: Load) -> float:
    seconds = num_tokens = 0.0
    for _ in range(load.num_requests):
        timing = await _streamed(port, prompt(), load.num_tokens)
        seconds += timing.seconds
        num_tokens += _num_tokens(timing)
    return num_tokens / seconds


async def _streamed(port: int, text: str, num_tokens: int) -> Timing:
    options = {"include_usage": True}
    return await stream(port, _CHAT, body(text, num_tokens, stream=True, stream_options=options))


async def _many_clients(port: int, load: Load) -> float:
    loop = asyncio.get_running_loop()
    start = loop.time()

    async def client() -> int:
        return sum(
            [
                _num_tokens(await _streamed(port, prompt(), load.num_tokens))
                for _ in range(load.num_rounds)
            ]
        )

    num_tokens = sum(await asyncio.gather(*[client() for _ in range(load.num_clients)]))
    return num_tokens / (loop.time() - start)


async def _worst_gap(port: int, load: Load) -> float:
    """Ratio of the longest gap in three streams while a long prompt arrives, to the usual gap."""
    alone = await asyncio.gather(*[_streamed(port, prompt(), load.num_tokens) for _ in range(3)])
    usual = statistics.median(gap for timing in alone for gap in timing.gaps)
    streams = [
        asyncio.ensure_future(_streamed(port, prompt(), 3 * load.num_tokens)) for _ in range(3)
    ]
    await asyncio.sleep(usual * load.num_tokens / 2)
    await _streamed(port, prompt(load.num_prompt_sentences), 4)
    timings = await asyncio.gather(*streams)
    gaps = sorted(gap for timing in timings for gap in timing.gaps)
    return gaps[round(0.995 * (len(gaps) - 1))] / usual


async def _second_turn(port: int, load: Load) -> float:
    """Ratio of the time to first token in a second turn, to that in a first."""
    first = prompt(load.num_prompt_sentences)
    messages = [{"role": "user", "content": first}]
    _, reply = await post(port, _CHAT, body(first, 16))
    said = reply["choices"][0]["message"]["content"]
    cold = await _streamed(port, prompt(load.num_prompt_sentences), 8)
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "然后呢？"}]
    request = body("", 8, stream=True, stream_options={"include_usage": True})
    warm = await stream(port, _CHAT, request | {"messages": messages})
    return warm.first_token / cold.first_token


async def _restart(system: System, load: Load) -> float:
    """Ratio of the time to first token after a restart, to that before it."""
    text = prompt(load.num_prompt_sentences)
    with running(system) as server:
        await warm_up(server.port)
        cold = await _streamed(server.port, text, 8)
    with running(system) as server:
        await warm_up(server.port)
        warm = await _streamed(server.port, text, 8)
    return warm.first_token / cold.first_token


async def warm_up(port: int) -> None:
    """Warm a server up: the first requests are slower."""
    for _ in range(2):
        await post(port, _CHAT, body(prompt(), 8))


async def _embeddings(port: int, load: Load) -> float:
    texts = [prompt() for _ in range(load.num_texts)]
    timing, _ = await post(port, "/v1/embeddings", {"model": "any", "input": texts})
    return len(texts) / timing.seconds


def _bare_one(loop: "BareLoop", load: Load) -> float:
    prompts = [loop.tokenize(prompt()) for _ in range(load.num_requests)]
    seconds = sum(loop.generate([ids], load.num_tokens) for ids in prompts)
    return len(prompts) * load.num_tokens / seconds


def _bare_many(loop: "BareLoop", load: Load) -> float:
    seconds = sum(
        loop.generate([loop.tokenize(prompt()) for _ in range(load.num_clients)], load.num_tokens)
        for _ in range(load.num_rounds)
    )
    return load.num_rounds * load.num_clients * load.num_tokens / seconds


SCENARIOS: Mapping[str, Scenario] = {
    "one-stream": Scenario("one stream", "tokens/s", _one_stream, _bare_one),
    "many-clients": Scenario("many clients", "tokens/s", _many_clients, _bare_many),
    "worst-gap": Scenario("worst gap / usual gap", "", _worst_gap),
    "second-turn": Scenario("second turn / first", "", _second_turn),
    "restart": Scenario("after a restart / before", "", measure_restart=_restart),
    "embeddings": Scenario("embeddings", "texts/s", _embeddings),
}
"""By their names for ``glm3edge bench --scenario``."""
