"""How a front's throughput grows with replicas, simulated with the routing code itself.

    python benchmarks/replicas.py [--users-per-replica 16] [--out benchmarks/results/replicas]

Users hold conversations: a question, the reply, a pause, the next turn, whose prompt has all before
it. A replica computes its requests together and keeps the KV caches of the conversations that it
had last. A prompt token that is not cached costs it ``PREFILL_SECONDS``, and a step of decoding
``STEP_SECONDS``, whatever the batch. The costs are those of one card; no engine runs. Compared with
the router are conversations that go to the replica with the fewest requests, and to the next in
turn, as load balancers do that do not look at prompts.
"""

import argparse
import heapq
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from glm3edge.remote.routing import choose, ranking

NUM_REPLICAS = (1, 2, 4, 8, 16, 32, 64)
PREFILL_SECONDS = 1 / 4000
STEP_SECONDS = 1 / 40
NUM_KEPT = 24
"""Conversations whose KV cache a replica has room for."""
SECONDS = 600.0


@dataclass
class Replica:
    """What a replica has in its cache, and computes."""

    cache: "OrderedDict[int, int]" = field(default_factory=OrderedDict)  # conversation: tokens
    num_requests: int = 0
    free_at: float = 0.0  # when the prompts that it has are computed

    def prefill(self, conversation: int, num_tokens: int, now: float) -> tuple[float, int]:
        """When a prompt is computed, and how many of its tokens were in the cache."""
        num_cached = min(self.cache.pop(conversation, 0), num_tokens)
        self.cache[conversation] = num_tokens
        while len(self.cache) > NUM_KEPT:
            self.cache.popitem(last=False)
        self.free_at = max(self.free_at, now) + PREFILL_SECONDS * (num_tokens - num_cached)
        return self.free_at, num_cached


Pick = Callable[[int, Sequence[Replica]], int]
"""Replica for a conversation."""


def by_router(conversation: int, replicas: Sequence[Replica]) -> int:
    names = ranking(b"%d" % conversation, map(str, range(len(replicas))))
    return int(choose(names, [replicas[int(name)].num_requests for name in names]))


def by_load(_conversation: int, replicas: Sequence[Replica]) -> int:
    return min(range(len(replicas)), key=lambda index: replicas[index].num_requests)


def in_turn() -> Pick:
    counter = count()
    return lambda _conversation, replicas: next(counter) % len(replicas)


@dataclass
class Outcome:
    """What came of a run."""

    num_tokens: int = 0
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    waits: list[float] = field(default_factory=list)

    @property
    def cached(self) -> float:
        """Share of the prompts' tokens that were cached."""
        return self.num_cached_tokens / self.num_prompt_tokens

    @property
    def late(self) -> float:
        """Seconds to the first token that one in twenty exceeds."""
        return sorted(self.waits)[len(self.waits) * 19 // 20]


def simulate(num_replicas: int, num_users: int, pick: Pick, seed: int = 0) -> Outcome:
    """Users who talk for ``SECONDS`` to so many replicas."""
    rng, outcome, numbers = random.Random(seed), Outcome(), count()
    replicas = [Replica() for _ in range(num_replicas)]
    # An event: when, a number that orders equals, the user's conversation and its tokens, and the
    # replica that ends a reply, or None where the user asks.
    events: list[tuple[float, int, int, int, int | None]] = [
        (rng.uniform(0, 20), next(numbers), user, 0, None) for user in range(num_users)
    ]
    conversations = count(num_users)
    while events:
        now, _, conversation, num_tokens, index = heapq.heappop(events)
        if now > SECONDS:
            break
        if index is not None:
            replicas[index].num_requests -= 1
            if rng.random() < 1 / 6:  # a conversation has six turns
                conversation, num_tokens = next(conversations), 0
            pause = rng.expovariate(1 / 10)
            heapq.heappush(events, (now + pause, next(numbers), conversation, num_tokens, None))
            continue
        num_tokens += rng.randint(50, 600) if num_tokens else rng.randint(300, 2500)
        index = pick(conversation, replicas)
        replica = replicas[index]
        ready, num_cached = replica.prefill(conversation, num_tokens, now)
        replica.num_requests += 1
        num_new = rng.randint(30, 300)
        outcome.num_tokens += num_new
        outcome.num_prompt_tokens += num_tokens
        outcome.num_cached_tokens += num_cached
        outcome.waits.append(ready + STEP_SECONDS - now)
        end = ready + num_new * STEP_SECONDS
        heapq.heappush(events, (end, next(numbers), conversation, num_tokens + num_new, index))
    return outcome


def render(users_per_replica: int) -> str:
    """A table in Markdown."""
    lines = [
        "| replicas | users | way | tokens/s | to one replica's | cached | late first token, s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    one = simulate(1, users_per_replica, by_router).num_tokens
    for num_replicas in NUM_REPLICAS:
        ways = {"router": by_router, "fewest requests": by_load, "in turn": in_turn()}
        for name, pick in ways.items():
            num_users = users_per_replica * num_replicas
            outcome = simulate(num_replicas, num_users, pick)
            lines.append(
                f"| {num_replicas} | {num_users} | {name} | {outcome.num_tokens / SECONDS:,.0f} "
                f"| {outcome.num_tokens / one:.1f} | {outcome.cached:.0%} | {outcome.late:.2f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users-per-replica", type=int, default=16)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    table = render(options.users_per_replica)
    print(table)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "table.md").write_text(table)


if __name__ == "__main__":
    main()
