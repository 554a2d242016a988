"""Replies are the same wherever the layers are, and they are where they were asked for."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import pytest

from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.config.settings import load_settings
from glm3edge.core import SamplingParams, Span
from glm3edge.llama import library
from glm3edge.llama.allocations import layer_devices, moved_tensors
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.context import Context
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import Device, DeviceKind, add_worker
from glm3edge.llama.model import Model
from glm3edge.placement.from_settings import chosen_placement
from glm3edge_convert import convert
from tests.support.paths import GLM3_TINY
from tests.support.rpc_workers import Worker, new_worker

pytestmark = pytest.mark.slow

QUESTIONS = ("你好", "What is glm3edge?", "讲一个关于猫的故事")
GREEDY = SamplingParams(temperature=0, repetition_penalty=1)
NUM_LAYERS = 6
MAX_TOKENS = 60
KINDS = ("attn_norm", "attn_output", "attn_qkv", "ffn_down", "ffn_norm", "ffn_up")

Layers = dict[int, str]
Moved = dict[str, str]


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    workers = [new_worker(), new_worker()]
    yield workers
    for worker in workers:
        worker.kill()


@pytest.fixture(scope="module", params=["f16", "q4_k_m"])
def gguf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("splits") / f"{request.param}.gguf"
    convert(GLM3_TINY, path, quant_type=request.param)
    return path


def answers(path: Path, placement: Placement) -> tuple[list[list[int]], Layers, Moved]:
    """Greedy replies to QUESTIONS, and llama.cpp's report."""
    with library.log_lines() as lines, Model(path, placement=placement) as model:
        special = SpecialTokens.of(model)
        with Context(
            model, context_size=256, batch_size=64, num_sequences=1, num_threads=1
        ) as context:
            found = [_answer(context, special, question) for question in QUESTIONS]
    return found, layer_devices(lines), moved_tensors(lines)


def _answer(context: Context, special: SpecialTokens, question: str) -> list[int]:
    text = context.model.tokenize(f"\n {question}")
    ids = [*special.prefix, special.user, *text, special.assistant]
    sampler = context.new_sampler(GREEDY, ids)
    reply: list[int] = []
    span = Span(0, 0, ids, wants_output=True)
    while len(reply) < MAX_TOKENS and not special.stop_ids.intersection(reply):
        (index,) = context.decode([span])
        reply.append(context.sample(sampler, index))
        span = Span(0, span.position + len(span.token_ids), reply[-1:], wants_output=True)
    sampler.close()
    context.truncate(0, 0)
    return reply


def all_answers(
    path: Path, addresses: Sequence[str], placements: Sequence[Placement]
) -> list[tuple[list[list[int]], Layers, Moved]]:
    for address in addresses:
        add_worker(address)
    return [answers(path, placement) for placement in placements]


def layers(cpu: int, first: int, second: int = 0) -> Layers:
    """Where layers and output are, so many on each."""
    names = chain(["CPU"] * cpu, ["RPC0"] * first, ["RPC1"] * second)
    return dict(enumerate(names))


def test_by_number_on_one_and_two_workers(gguf: Path, workers: list[Worker]) -> None:
    """All splits there are: 0 to 7 of 7 on workers, and all ways to share these among two."""
    one = [(Placement(("RPC0",), n), layers(7 - n, n)) for n in range(8)]
    two = [
        (
            Placement(("RPC0", "RPC1"), n, tensor_split=(first, n - first)),
            layers(7 - n, first, n - first),
        )
        for n in range(2, 8)
        for first in range(1, n)
    ]
    placements = [ON_CPU, *(placement for placement, _ in one + two)]
    expected, *found = run_in_child(
        all_answers, gguf, [worker.address for worker in workers], placements
    )
    assert all(len(reply) > 5 for reply in expected[0])
    for (placement, where), (replies, report, moved) in zip(one + two, found, strict=True):
        assert replies == expected[0], placement
        assert (report, moved) == (where, {}), placement


@pytest.mark.parametrize(
    ("options", "where", "on_cpu"),
    [
        ({"cpu_layers": "0-2"}, layers(3, 4), ("blk.0.", "blk.1.", "blk.2.")),
        ({"cpu_layers": "1,4-5"}, layers(0, 7), ("blk.1.", "blk.4.", "blk.5.")),
        ({"tensor_placement": ["ffn_.*=CPU"]}, layers(0, 7), ("ffn_",)),
        ({"tensor_placement": [r"blk\.[0-3]\.attn=CPU"]}, layers(0, 7), tuple(
            f"blk.{n}.attn" for n in range(4)
        )),
        (
            {"tensor_placement": ["output=CPU"], "gpu_layers": "2"},
            layers(5, 2),
            ("output",),
        ),
        ({"kv_on_gpu": False, "gpu_layers": "all"}, layers(0, 7), ()),
    ],
)  # fmt: skip
def test_by_range_and_by_pattern(
    gguf: Path,
    workers: list[Worker],
    options: dict[str, object],
    where: Layers,
    on_cpu: tuple[str, ...],
) -> None:
    device = Device("RPC0", workers[0].address, DeviceKind.GPU, "RPC", 2**30, 2**30)
    placement = chosen_placement(load_settings(**options), [device], num_layers=NUM_LAYERS)
    assert placement is not None
    expected, found = run_in_child(all_answers, gguf, [workers[0].address], [ON_CPU, placement])
    assert found[0] == expected[0]
    assert found[1] == where
    assert {name for name in found[2] if not any(part in name for part in on_cpu)} == set()
    assert {part for part in on_cpu if any(part in name for name in found[2])} == set(on_cpu)
    assert all(buffer.startswith("CPU") for buffer in found[2].values())


def test_a_tensor_can_be_moved_to_another_worker(gguf: Path, workers: list[Worker]) -> None:
    placement = Placement(
        ("RPC0", "RPC1"), -1, overrides=(("ffn_up", "RPC1"),), tensor_split=(1, 0)
    )
    expected, found = run_in_child(
        all_answers, gguf, [worker.address for worker in workers], [ON_CPU, placement]
    )
    assert found[0] == expected[0]
    assert found[1] == layers(0, 7)
    assert set(found[2]) == {f"blk.{layer}.ffn_up.weight" for layer in range(NUM_LAYERS)}
    assert all(workers[1].address in buffer for buffer in found[2].values())
