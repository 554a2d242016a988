"""Many mixed requests against a running server, and what has to hold whatever they are.

    python benchmarks/soak.py MODEL.gguf --requests 10000

starts ``glm3edge serve --deterministic`` twice: for a quiet run, which gives the replies that are
right, and for the mixed one. Requests are left to their end, cancelled or cut off at random
moments, too long, or no JSON at all, 32 at once.
"""

import argparse
import asyncio
import json
import random
import sys
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving import served
from glm3edge.commands.bench.client import connection
from glm3edge.commands.bench.systems import Running

CONCURRENCY = 32
_CHAT = "/v1/chat/completions"
_NUM_PROMPTS = 40
_KINDS = {
    "whole": 25,
    "stream": 25,
    "several": 5,
    "embedding": 5,
    "leaves a stream": 15,
    "leaves before the reply": 15,
    "too long": 5,
    "malformed": 5,
}
"""Kinds of requests and their weights; the first four are left to their end."""


_Job = tuple[str, int, float]  # kind, number of the request, and in 0..1 when it is left


@dataclass
class Report:
    """What happened.

    Attributes:
        counts: requests by kind.
        wrong: what must not happen, in words.
        memory_bytes: the server's resident memory, at each tenth of the way.
        left: what ``/health`` says still runs or waits afterwards.
    """

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)
    left: tuple[int, int] = (0, 0)

    @property
    def growth(self) -> float:
        """Memory at the end to memory after three tenths: by then every buffer has been needed."""
        return self.memory_bytes[-1] / self.memory_bytes[2] if len(self.memory_bytes) > 3 else 1.0


def request_body(number: int, kind: str) -> tuple[str, dict[str, Any]]:
    """Path and body of one of the ``_NUM_PROMPTS`` requests of a kind."""
    text = f"{number % 7}：" + "请说说这里的历史、风景和美食。" * (1 + number % 11)
    if kind == "embedding":
        return "/v1/embeddings", {"model": "m", "input": [text, text[:9]]}
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 4 + number % 29,
        "temperature": 1.0,
        "seed": number,
        "stream": kind in ("stream", "leaves a stream"),
        "n": 3 if kind == "several" else 1,
        "priority": ("interactive", "background")[number % 2],
    }
    return _CHAT, body


def soak(model: Path, *, num_requests: int, seed: int = 1) -> Report:
    """A quiet run and a mixed one, each with a server of its own."""
    with served(model, context_size=1024, options="--deterministic") as server:
        right = asyncio.run(quiet(server.port))
    with served(model, context_size=1024, options="--deterministic") as server:
        return asyncio.run(mixed(server, right, num_requests=num_requests, seed=seed))


async def quiet(port: int) -> dict[tuple[int, str], Any]:
    """The right replies: each request alone."""
    return {
        (number, kind): await _reply(port, *request_body(number, kind))
        for kind in list(_KINDS)[:4]
        for number in range(_NUM_PROMPTS)
    }


async def mixed(
    server: Running, right: Mapping[tuple[int, str], Any], *, num_requests: int, seed: int
) -> Report:
    """``num_requests`` requests, CONCURRENCY of them at once."""
    rng = random.Random(seed)
    report = Report()
    kinds = rng.choices(list(_KINDS), list(_KINDS.values()), k=num_requests)
    jobs = iter([(kind, rng.randrange(_NUM_PROMPTS), rng.random()) for kind in kinds])
    every = max(num_requests // 10, 1)

    async def client() -> None:
        for job in jobs:
            try:
                await _one(server.port, job, right, report)
            except (OSError, ValueError, asyncio.IncompleteReadError) as exc:
                report.wrong.append(f"{job}: {exc!r}")
            report.counts[job[0]] += 1
            if report.counts.total() % every == 0:
                report.memory_bytes.append(resident_bytes(server.pid))

    await asyncio.gather(*[client() for _ in range(CONCURRENCY)])
    report.left = await _left(server.port)
    return report


async def _one(port: int, job: _Job, right: Mapping[tuple[int, str], Any], report: Report) -> None:
    kind, number, moment = job
    path, body = request_body(number, kind)
    if kind == "leaves before the reply":
        await _leave(port, path, body, seconds=0.3 * moment**3)
    elif kind == "leaves a stream":
        await _leave_stream(port, path, body, num_events=round(moment * 20))
    elif kind == "too long":
        body["messages"][0]["content"] *= 400
        _expect(report, kind, await _status(port, path, json.dumps(body).encode()), 400)
    elif kind == "malformed":
        data = json.dumps(body).encode()[: 3 + round(40 * moment)]
        _expect(report, kind, await _status(port, path, data), 400)
    else:
        _expect(report, f"{kind} {number}", await _reply(port, path, body), right[number, kind])


def _expect(report: Report, what: str, found: object, expected: object) -> None:
    if found != expected:
        report.wrong.append(f"{what}: {str(found)[:300]} is not {str(expected)[:300]}")


async def _reply(port: int, path: str, body: dict[str, Any]) -> Any:
    """What matters of a reply, with how it ended."""
    async with connection(port, path, json.dumps(body).encode()) as reader:
        data = await reader.read()
    status = data.partition(b"\r\n")[0]
    if b" 200 " not in status:
        return status.decode()
    text = data.partition(b"\r\n\r\n")[2]
    if not body.get("stream"):
        reply = json.loads(text[text.index(b"{") : text.rindex(b"}") + 1])
        if "data" in reply:
            return [item["embedding"][:8] for item in reply["data"]]
        return [(c["message"]["content"], c["finish_reason"]) for c in reply["choices"]]
    return _streamed(text)


def _streamed(text: bytes) -> Any:
    """The text of a stream and its endings: one reason and one [DONE], if all is well."""
    content, endings = "", []
    for line in text.split(b"\n"):
        if line.startswith(b"data: {"):
            for choice in json.loads(line[6:]).get("choices", [{"delta": {}, "error": line}]):
                content += choice["delta"].get("content") or ""
                endings += [choice["finish_reason"]] if choice.get("finish_reason") else []
        elif line.startswith(b"data: "):
            endings.append(line[6:].decode().strip())
    return content, endings


async def _leave(port: int, path: str, body: dict[str, Any], *, seconds: float) -> None:
    async with connection(port, path, json.dumps(body).encode()):
        await asyncio.sleep(seconds)


async def _leave_stream(port: int, path: str, body: dict[str, Any], *, num_events: int) -> None:
    async with connection(port, path, json.dumps(body).encode()) as reader:
        for _ in range(num_events):
            if not await reader.readline():
                return


async def _status(port: int, path: str, data: bytes) -> int:
    async with connection(port, path, data) as reader:
        reply = await reader.read()
    return int(reply.split()[1])


async def _left(port: int) -> tuple[int, int]:
    """What runs and waits, once what was cut off has had time to end."""
    for _ in range(100):
        health = await asyncio.to_thread(_health, port)
        if not health["running"] and not health["waiting"]:
            break
        await asyncio.sleep(0.1)
    return health["running"], health["waiting"]


def _health(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as reply:
        health: dict[str, Any] = json.load(reply)
        return health


def resident_bytes(pid: int) -> int:
    """The process's resident memory, by Linux's own account; 0 elsewhere."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    for line in status.read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> int:
    """Run and print; the exit code says whether all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    report = soak(arguments.model, num_requests=arguments.requests, seed=arguments.seed)
    print(json.dumps(report.counts, indent=2))
    print("memory, MiB:", [round(number / 2**20) for number in report.memory_bytes])
    print(f"growth {report.growth:.3f}; still running, waiting: {report.left}")
    for line in report.wrong[:20]:
        print(line)
    print(f"{len(report.wrong)} wrong")
    return int(bool(report.wrong) or report.left != (0, 0) or report.growth > 1.05)


if __name__ == "__main__":
    sys.exit(main())
