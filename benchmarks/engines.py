"""What a front costs: servers that take the same completions in turns, and their shares.

    python benchmarks/engines.py MODEL --pair vLLM=http://127.0.0.1:8100,http://127.0.0.1:8000 \\
        [--pair NAME=ENGINE,FRONT] [--out benchmarks/results/engines]

A pair is an engine and a front over it (``glm3edge serve MODEL --engine ENGINE``), which both run
already on this machine. Prompts are ids of MODEL's vocabulary; replies are greedy and streamed. The
two take turns, and the front's tokens per second are given as a share of the engine's own in the
same round.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.commands.bench.client import stream
from glm3edge.llama.model import Model

NUM_PROMPT_TOKENS = 96


@dataclass(frozen=True)
class Row:
    """Tokens per second of a pair in one round."""

    name: str
    num_clients: int
    engine: float
    front: float


async def tokens_per_second(
    url: httpx.URL, model: str, prompts: list[list[int]], *, num_clients: int, num_tokens: int
) -> float:
    """Of all clients together, who take the next prompt when a reply is over."""
    left, port = list(prompts), url.port or 80

    async def client() -> int:
        total = 0
        while left:
            body = {
                "model": model,
                "prompt": left.pop(),
                "max_tokens": num_tokens,
                "temperature": 0,
                "repetition_penalty": 1,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            timing = await stream(port, "/v1/completions", body)
            total += timing.usage["completion_tokens"]
        return total

    start = time.perf_counter()
    counts = await asyncio.gather(*(client() for _ in range(num_clients)))
    return sum(counts) / (time.perf_counter() - start)


def measure(options: argparse.Namespace) -> list[Row]:
    with Model(options.model, vocab_only=True) as model:
        prefix, size = SpecialTokens.of(model).prefix, model.vocab_size
    rng, rows = random.Random(0), []
    for round_number in range(options.rounds + 1):  # the first warms them up
        for num_clients in options.clients:
            for name, engine, front in options.pair:
                prompts = [
                    [*prefix, *(rng.randrange(300, size - 20) for _ in range(NUM_PROMPT_TOKENS))]
                    for _ in range(max(num_clients * 2, 8))
                ]
                speeds = {}
                order = [engine, front] if round_number % 2 else [front, engine]
                for url in order:
                    rng.shuffle(prompts)
                    for prompt in prompts:  # another first token: nothing is in the cache
                        prompt[len(prefix)] = rng.randrange(300, size - 20)
                    name_there = httpx.get(f"{url}/v1/models").json()["data"][0]["id"]
                    work = tokens_per_second(
                        httpx.URL(url),
                        name_there,
                        prompts,
                        num_clients=num_clients,
                        num_tokens=options.tokens,
                    )
                    speeds[url] = asyncio.run(work)
                if round_number:
                    rows.append(Row(name, num_clients, speeds[engine], speeds[front]))
    return rows


def render(rows: list[Row]) -> str:
    """A table in Markdown: medians, and the range of the shares."""
    lines = [
        "| engine | clients | tokens/s | through the front | share |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, num_clients in dict.fromkeys((row.name, row.num_clients) for row in rows):
        same = [row for row in rows if (row.name, row.num_clients) == (name, num_clients)]
        shares = [row.front / row.engine for row in same]
        lines.append(
            f"| {name} | {num_clients} | {statistics.median(row.engine for row in same):,.0f} "
            f"| {statistics.median(row.front for row in same):,.0f} "
            f"| {statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f}) |"
        )
    return "\n".join(lines) + "\n"


def pair(text: str) -> tuple[str, str, str]:
    """NAME=ENGINE,FRONT"""
    name, _, urls = text.partition("=")
    engine, front = urls.split(",")
    return name, engine.rstrip("/"), front.rstrip("/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="GGUF file whose vocabulary it is")
    parser.add_argument("--pair", type=pair, action="append", required=True)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = measure(options)
    table = render(rows)
    print(table)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "table.md").write_text(table)
        results = json.dumps([asdict(row) for row in rows], indent=2)
        (options.out / "results.json").write_text(results + "\n")


if __name__ == "__main__":
    main()
