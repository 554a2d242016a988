"""Sequences with prefixes on llama.cpp itself, where memory is short and clients leave."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from glm3edge.core import FinishReason, SamplingParams, TokenEvent
from glm3edge.engine.disk_cache import DiskCache
from glm3edge.engine.engine import Engine
from glm3edge.engine.kv_cache import num_slots
from glm3edge.llama.context import Context
from glm3edge.llama.model import Model
from glm3edge.llama.prefix import Prefix
from glm3edge_convert import convert, convert_prefix
from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint
from tests.support.engine_client import Client, Listener
from tests.support.prefixes import make_prefix

GREEDY = SamplingParams(temperature=0, repetition_penalty=1)
CONTEXT_SIZE = 256
NUM_NEW = 16
PROMPTS = [f"{number} " + "what is asked " * (2 + number % 4) for number in range(8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prefixes")
    make_checkpoint(folder / "model", shape=Shape(64, 2, 4, 2, 16, 96, 512), dtype="float32")
    convert(folder / "model", folder / "model.gguf", quant_type="f32")
    for seed, length in enumerate((7, 40)):
        prefix = make_prefix(
            folder / f"{seed}", folder / "model", num_places=length, seed=seed, std=3
        )
        convert_prefix(prefix.folder, folder / f"{seed}.gguf")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[Model]:
    with Model(folder / "model.gguf") as model:
        yield model


def open_context(model: Model, folder: Path) -> Context:
    return Context(
        model,
        context_size=CONTEXT_SIZE,
        batch_size=64,
        num_sequences=num_slots(4),
        num_threads=1,
        adapters=[Prefix(model, folder / f"{seed}.gguf") for seed in range(2)],
    )


def ask(client: Client, prompt: str, adapter: int) -> Listener:
    return client.generate(
        prompt, max_new_tokens=NUM_NEW, sampling=GREEDY, adapter=adapter, stop_token_ids=frozenset()
    )


def said(listener: Listener) -> list[int]:
    events = listener.all()
    assert events[-1].reason is FinishReason.LENGTH
    return [event.token_id for event in events if isinstance(event, TokenEvent)]


@pytest.fixture(scope="module")
def expected(model: Model, folder: Path) -> dict[tuple[str, int], list[int]]:
    """What is said to each prompt with each prefix, computed alone and from the start."""
    found = {}
    for prompt in PROMPTS:
        for adapter in range(3):
            with open_context(model, folder) as context:
                engine = Engine(context, max_running=1, use_drafts=False)
                engine.start()
                found[prompt, adapter] = said(ask(Client(engine), prompt, adapter))
                engine.close()
    for prompt in PROMPTS:
        assert len({tuple(found[prompt, adapter]) for adapter in range(3)}) == 3
    return found


@pytest.mark.slow
def test_where_memory_is_short(
    model: Model, folder: Path, expected: dict[tuple[str, int], list[int]], tmp_path: Path
) -> None:
    """Sequences are preempted, truncated, shared, cancelled, saved and restored meanwhile."""
    rng = random.Random(3)
    num_cached = 0
    for _ in range(2):
        with open_context(model, folder) as context:
            key, *adapter_keys = context.state_keys
            disk = DiskCache(
                tmp_path,
                key=key,
                max_bytes=2**24,
                max_waiting_tokens=4096,
                adapter_keys=adapter_keys,
            )
            engine = Engine(context, max_running=4, disk=disk)
            engine.start()
            client = Client(engine)
            asked = [(prompt, adapter) for prompt in PROMPTS for adapter in range(3)] * 2
            rng.shuffle(asked)
            while asked:
                some, asked = asked[:12], asked[12:]
                listeners = [ask(client, *which) for which in some]
                leaving = [ask(client, *which) for which in some[:4]]
                for listener in leaving:
                    listener.cancel()
                for which, listener in zip(some, listeners, strict=True):
                    assert said(listener) == expected[which]
                for listener in leaving:
                    listener.all()
            num_cached += engine.stats.num_cached_tokens
            engine.close()
            disk.close()
    assert num_cached > 1000
