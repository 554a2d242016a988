"""A context in a child process: the same as one here, with workers and without, after a loss."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glm3edge.core import SamplingParams, Span
from glm3edge.errors import DecodeError, DeviceError, EngineLostError, ResourceClosedError
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.context import Context
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.model import Model
from glm3edge.llama.prefix import Prefix
from glm3edge.llama.remote_context import AdapterSpec, ContextSpec, RemoteContext
from glm3edge_convert import convert_lora, convert_prefix
from glm3edge_convert.synth.random_checkpoint import SHAPES
from tests.support.lora_adapters import layer_modules, make_adapter
from tests.support.prefixes import make_prefix
from tests.support.rpc_workers import Worker

pytestmark = pytest.mark.slow

GREEDY = SamplingParams(temperature=0, repetition_penalty=1)
SEEDED = SamplingParams(temperature=1.5, top_p=1, seed=7)
PROMPT = [10, 20, 30, 40, 50, 60]


@pytest.fixture(scope="module")
def model(tiny_gguf: Path) -> Iterator[Model]:
    with Model(tiny_gguf, no_alloc=True) as model:
        yield model


def spec(model: Model, worker: Worker | None = None, **options: Any) -> ContextSpec:
    on_worker = Placement(("RPC0",), -1)
    values: dict[str, Any] = {
        "path": model.path,
        "placement": ON_CPU if worker is None else on_worker,
        "workers": () if worker is None else (worker.address,),
        "context_size": 256,
        "batch_size": 32,
        "num_sequences": 2,
        "num_threads": 1,
    }
    return ContextSpec(**(values | options))


def reply(
    context: Context | RemoteContext, params: SamplingParams, *, adapter: int = 0
) -> list[int]:
    sampler = context.new_sampler(params, PROMPT)
    ids: list[int] = []
    span = Span(0, 0, PROMPT, wants_output=True)
    for _ in range(8):
        (index,) = context.decode([span], adapter=adapter)
        ids.append(context.sample(sampler, index))  # type: ignore[arg-type]
        span = Span(0, span.position + len(span.token_ids), ids[-1:], wants_output=True)
    sampler.close()
    context.truncate(0, 0)
    return ids


def test_it_does_what_a_context_does(model: Model, tiny_model: Model) -> None:
    settings: dict[str, Any] = {
        "context_size": 256,
        "batch_size": 32,
        "num_sequences": 2,
        "num_threads": 1,
    }
    with RemoteContext(model, spec(model)) as remote, Context(tiny_model, **settings) as here:
        assert (remote.context_size, remote.batch_size) == (256, 32)
        assert remote.state_keys == here.state_keys
        assert remote.piece(300) == here.piece(300)
        for params in (GREEDY, SEEDED):
            assert reply(remote, params) == reply(here, params)
        span = Span(0, 0, PROMPT, wants_output=True)
        (index,) = remote.decode([span])
        assert here.decode([span]) == [index]
        assert remote.logprobs(index, 5, 3) == here.logprobs(index, 5, 3)
        mask = np.zeros((model.vocab_size + 31) // 32 * 4, np.uint8)
        mask[100] = 1
        assert remote.sample(remote.new_sampler(GREEDY, PROMPT), index, mask) == 800
        state = remote.state(0)
        assert state == here.state(0)
        remote.copy(0, 1, 3)
        here.copy(0, 1, 3)
        assert remote.state(1) == here.state(1)
        remote.truncate(0, 0)
        assert remote.restore(0, state)
        assert remote.state(0) == state
        remote.truncate(0, 0)
        for context in (remote, here):
            context.truncate(0, 0)
            context.decode([span], hidden_states=True)
        assert np.array_equal(remote.hidden_states(0, 6), here.hidden_states(0, 6))


def test_errors_come_over_and_it_goes_on(model: Model) -> None:
    with RemoteContext(model, spec(model)) as context:
        before = reply(context, GREEDY)
        with pytest.raises(DecodeError):
            context.decode([Span(0, 0, [model.vocab_size], wants_output=True)])
        context.truncate(0, 0)
        assert reply(context, GREEDY) == before


def test_a_lost_worker_can_come_back(model: Model, worker: Worker) -> None:
    with RemoteContext(model, spec(model, worker)) as context:
        before = reply(context, GREEDY)
        assert set(context.report.layer_devices.values()) == {"RPC0"}
        context.check()
        worker.kill()
        with pytest.raises(EngineLostError) as caught:
            context.decode([Span(0, 0, PROMPT, wants_output=True)])
        assert worker.address in caught.value.reason
        sampler = context.new_sampler(GREEDY, PROMPT)
        sampler.close()
        context.copy(0, 1, 1)
        context.truncate(0, 0)
        context.abort()
        for ask in (context.check, lambda: context.state(0), context.restart):
            with pytest.raises(EngineLostError, match="cannot be reached"):
                ask()
        worker.start()
        context.restart()
        sampler.close()
        assert reply(context, GREEDY) == before


def test_a_worker_that_begins_anew_is_noticed(model: Model, worker: Worker) -> None:
    with RemoteContext(model, spec(model, worker)) as context:
        before = reply(context, GREEDY)
        worker.kill()
        worker.start()
        with pytest.raises(EngineLostError):
            context.check()
        context.restart()
        assert reply(context, GREEDY) == before


def test_after_the_end_nothing_is_done(model: Model) -> None:
    context = RemoteContext(model, spec(model))
    context.close()
    context.close()
    context.truncate(0, 0)
    with pytest.raises(ResourceClosedError):
        context.decode([Span(0, 0, PROMPT, wants_output=True)])
    with pytest.raises(ResourceClosedError):
        context.restart()


def test_who_is_not_there_is_named_at_once(model: Model) -> None:
    with pytest.raises(EngineLostError, match=r"worker 127\.0\.0\.1:1 cannot be reached"):
        RemoteContext(model, spec(model, workers=("127.0.0.1:1",)))


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        (Placement(("GPU7",), -1), "device GPU7 was not found; the devices are CPU, RPC0"),
        (
            Placement(("RPC0",), -1, overrides=(("nothing", "CPU"),)),
            "no tensor is called 'nothing'",
        ),
        (Placement(("RPC0",), -1, tensor_split=(1, 1)), "2 shares for 1 devices"),
    ],
)
def test_placements_that_cannot_be(
    model: Model, worker: Worker, placement: Placement, message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        RemoteContext(model, spec(model, worker, placement=placement))


def test_adapters_and_prefixes_over_a_worker(
    model: Model, tiny_model: Model, tiny_checkpoint: Path, worker: Worker, tmp_path: Path
) -> None:
    modules = layer_modules(SHAPES["tiny"].num_layers)
    convert_lora(
        make_adapter(tmp_path / "lora", tiny_checkpoint, modules, seed=1).folder,
        tmp_path / "lora.gguf",
    )
    convert_prefix(
        make_prefix(tmp_path / "prefix", tiny_checkpoint, num_places=5, seed=2).folder,
        tmp_path / "prefix.gguf",
    )
    specs = (AdapterSpec(tmp_path / "lora.gguf", 0.5), AdapterSpec(tmp_path / "prefix.gguf", None))
    adapters: list[Adapter | Prefix] = [
        Adapter(tiny_model, tmp_path / "lora.gguf", scale=0.5),
        Prefix(tiny_model, tmp_path / "prefix.gguf"),
    ]
    settings: dict[str, Any] = {"context_size": 256, "batch_size": 32, "num_sequences": 2}
    with (
        Context(tiny_model, **settings, num_threads=1, adapters=adapters) as here,
        RemoteContext(model, spec(model, worker, adapters=specs)) as remote,
    ):
        assert remote.state_keys == here.state_keys
        replies = [
            [reply(context, GREEDY, adapter=number) for number in range(3)]
            for context in (here, remote)
        ]
    assert replies[0] == replies[1]
    assert len(set(map(tuple, replies[0]))) == 3
