"""What keys and values in fewer bits cost: in replies and in speed, against f16.

    PYTHONPATH=models/glm3-tiny python benchmarks/kv_types.py MODEL.gguf... \\
        --out benchmarks/results/kv-types

Replies: glm3-tiny's greedy ones to questions that its training left out. Speed: of each MODEL, and
of two layers of the 6B shape with random weights, which this makes (1 GB of scratch): tokens a
second with so many tokens in memory. The types take turns at each token, and of each the fastest
tenth of the tokens counts, so that what else the machine does counts little. One thread, for the
same reason: threads wait for each other, so that one that is held up holds up all.

What they cost in quality, `glm3edge verify --kv-type` tells.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glm3edge.chatglm3.prompt import encode_turns
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.config.kv_types import KV_TYPES
from glm3edge.config.settings import load_settings
from glm3edge.core import SamplingParams, Span
from glm3edge.llama.context import Context
from glm3edge.llama.model import Model
from glm3edge.store.store import Store
from glm3edge_convert import convert
from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint
from recipe.questions import Question, questions

WEIGHT_TYPES = ("q8_0", "q4_k_m")
GREEDY = SamplingParams(temperature=0, repetition_penalty=1)
BATCH = 256
PROMPT_BATCHES = 6  # the last of each length, whose speed counts
MAX_REPLY = 200
TWO_LAYERS = Shape(4096, 2, 32, 2, 128, 13696, 8192)
"""Of ChatGLM3-6B, with a small vocabulary."""


@dataclass(frozen=True)
class Replies:
    """How many replies are those with keys and values in f16."""

    type: str
    kv_type: str
    num_questions: int
    num_same: int
    same_by_kind: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Speed:
    """Of one type with so many tokens in memory; ratios are to f16.

    ``ratio_range`` has those of the quarters of the run: how far they differ by themselves.
    """

    model: str
    kv_type: str
    num_in_memory: int
    tokens_per_second: float
    ratio: float
    ratio_range: tuple[float, float]
    prompt_tokens_per_second: float
    prompt_ratio: float
    bytes_per_token: float


def tiny_file(type_name: str) -> Path:
    """The built-in model, converted once."""
    return Store(load_settings().cache_dir, quant_type=type_name).find(None)


def measure_replies(per_kind: int, *, num_threads: int) -> Iterator[Replies]:
    """Greedy replies to as many questions of each kind."""
    seen: Counter[str] = Counter()
    asked = []
    for question in questions(seed=0):
        seen[question.kind] += 1
        if seen[question.kind] <= per_kind:
            asked.append(question)
    for type_name in WEIGHT_TYPES:
        with Model(tiny_file(type_name)) as model:
            said = {
                kv_type: reply_all(model, asked, kv_type=kv_type, num_threads=num_threads)
                for kv_type in KV_TYPES
            }
        for kv_type, replies in said.items():
            pairs = zip(said["f16"], replies, strict=True)
            same = [usual == reply for usual, reply in pairs]
            kinds = {
                kind: (sum(s for s, q in zip(same, asked, strict=True) if q.kind == kind), total)
                for kind, total in Counter(q.kind for q in asked).items()
            }
            yield Replies(type_name, kv_type, len(asked), sum(same), kinds)


def reply_all(
    model: Model, asked: Sequence[Question], *, kv_type: str, num_threads: int
) -> list[list[int]]:
    """Token ids of the reply to each question."""
    with Context(
        model,
        context_size=model.context_length,
        batch_size=model.context_length,
        num_sequences=1,
        num_threads=num_threads,
        kv_type=kv_type,
    ) as context:
        return [reply(context, prompt_of(question, model)) for question in asked]


def prompt_of(question: Question, model: Model) -> list[int]:
    """All but the last turn, and the tag that asks for it."""
    turns = question.dialogue.all_turns[:-1]
    return encode_turns(turns, model, SpecialTokens.of(model))


def reply(context: Context, prompt: list[int]) -> list[int]:
    """The greedy reply, up to the tag that ends it."""
    special = SpecialTokens.of(context.model)
    ends = {context.model.eos_id, special.user, special.observation}
    most = min(MAX_REPLY, context.context_size - len(prompt))
    ids: list[int] = []
    with closing(context.new_sampler(GREEDY, prompt)) as sampler:
        span = Span(0, 0, prompt, wants_output=True)
        while len(ids) < most:
            (index,) = context.decode([span])
            ids.append(context.sample(sampler, index))
            if ids[-1] in ends:
                break
            span = Span(0, len(prompt) + len(ids) - 1, ids[-1:], wants_output=True)
    context.truncate(0, 0)
    return ids


def measure_speed(
    path: Path, lengths: Sequence[int], *, num_tokens: int, num_threads: int
) -> Iterator[Speed]:
    """Decoding with so many tokens in memory, each type in its turn."""
    size = max(lengths) + num_tokens
    with ExitStack() as stack:
        model = stack.enter_context(Model(path))
        contexts = {
            kv_type: stack.enter_context(
                Context(
                    model,
                    context_size=size,
                    batch_size=BATCH,
                    num_sequences=1,
                    num_threads=num_threads,
                    kv_type=kv_type,
                )
            )
            for kv_type in KV_TYPES
        }
        filled = 0
        for length in lengths:
            prompt: dict[str, list[float]] = {name: [] for name in contexts}
            for position in range(filled, length, BATCH):
                for name, context in contexts.items():
                    prompt[name].append(decode(context, position, BATCH))
            prompt = {name: seconds[-PROMPT_BATCHES:] for name, seconds in prompt.items()}
            filled = length
            times: dict[str, list[float]] = {name: [] for name in contexts}
            for position in range(length, length + num_tokens):
                for name, context in contexts.items():
                    times[name].append(decode(context, position, 1))
            for name, context in contexts.items():
                context.truncate(0, length)
                ratios = [ratio(times["f16"][n::4], times[name][n::4]) for n in range(4)]
                yield Speed(
                    path.stem,
                    name,
                    length,
                    1 / fast(times[name]),
                    ratio(times["f16"], times[name]),
                    (min(ratios), max(ratios)),
                    BATCH / fast(prompt[name]),
                    ratio(prompt["f16"], prompt[name]),
                    sum(a.context for a in context.allocations()) / context_cells(size),
                )


def fast(seconds: Sequence[float]) -> float:
    """What nine of ten are longer than."""
    return statistics.quantiles(seconds, n=10, method="inclusive")[0]


def ratio(usual: Sequence[float], seconds: Sequence[float]) -> float:
    """How fast, to the usual."""
    return fast(usual) / fast(seconds)


def context_cells(size: int) -> int:
    """llama.cpp makes room for a multiple of 256 tokens."""
    return -(-size // 256) * 256


def decode(context: Context, position: int, num_tokens: int) -> float:
    """Seconds for a batch of tokens at this position and after it."""
    ids = [1000 + number % 500 for number in range(position, position + num_tokens)]
    began = time.perf_counter()
    (last,) = context.decode([Span(0, position, ids, wants_output=True)])
    context.logits(last, 1)  # waits for the end
    return time.perf_counter() - began


@contextmanager
def two_layers() -> Iterator[Path]:
    """A file of two layers of the 6B shape, q4_k_m."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made"
        make_checkpoint(made, shape=TWO_LAYERS)
        path = Path(folder) / "two-layers-of-6b-q4_k_m.gguf"
        convert(made, path, quant_type="q4_k_m")
        yield path


def render_replies(found: Sequence[Replies]) -> str:
    """A table in Markdown."""
    lines = ["| weights | keys, values | replies as with f16 |", "| --- | --- | --- |"]
    lines += [
        f"| {r.type} | {r.kv_type} | {r.num_same} of {r.num_questions} |"
        for r in found
        if r.kv_type != "f16"
    ]
    return "\n".join(lines) + "\n"


def render_speed(found: Sequence[Speed]) -> str:
    """A table in Markdown."""
    columns = (
        "model",
        "keys, values",
        "bytes a token",
        "tokens in memory",
        "tokens/s",
        "to f16 (range)",
        "prompt tokens/s",
        "to f16",
    )
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [
        f"| {s.model} | {s.kv_type} | {s.bytes_per_token:,.0f} | {s.num_in_memory:,} "
        f"| {s.tokens_per_second:.3g} "
        f"| {s.ratio:.2f} ({s.ratio_range[0]:.2f}-{s.ratio_range[1]:.2f}) "
        f"| {s.prompt_tokens_per_second:.3g} | {s.prompt_ratio:.2f} |"
        for s in found
    ]
    return "\n".join(lines) + "\n"


def keep(out: Path | None, name: str, table: str, found: Sequence[Any]) -> None:
    """Print a table, and write it with its numbers."""
    print(table)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.md").write_text(table, encoding="utf-8")
        data = json.dumps([asdict(item) for item in found], indent=2)
        (out / f"{name}.json").write_text(data + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="*", help="whose speed is measured, too")
    parser.add_argument("--per-kind", type=int, default=12, help="questions of each of eight kinds")
    parser.add_argument("--in-memory", type=int, nargs="*", default=[512, 2048, 4096])
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    replies = list(measure_replies(options.per_kind, num_threads=1))
    keep(options.out, "replies", render_replies(replies), replies)
    with two_layers() as layers:
        speeds = [
            speed
            for path in (*options.models, layers)
            for speed in measure_speed(
                path, options.in_memory, num_tokens=options.tokens, num_threads=1
            )
        ]
    keep(options.out, "speed", render_speed(speeds), speeds)


if __name__ == "__main__":
    main()
