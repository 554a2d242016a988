from dataclasses import replace
from pathlib import Path

import pytest

from glm3edge.config.settings import load_settings
from glm3edge.errors import DeviceError
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import Device
from glm3edge.llama.model import Model
from glm3edge.placement.budgets import MIN_GPU_MARGIN
from glm3edge.placement.fitting import check_fits, fitting_placement
from glm3edge.placement.machine.memory import SystemMemory
from glm3edge.placement.memory_usage import ContextParams
from tests.support.rpc_workers import Worker

pytestmark = pytest.mark.slow

CONTEXT = ContextParams(512, 32, 4)
MIB = 2**20


def test_what_fits_is_placed(tiny_gguf: Path, worker: Worker, found: list[Device]) -> None:
    settings = load_settings(rpc=[worker.address])
    whole, context_params = fitting_placement(tiny_gguf, found, CONTEXT, settings)
    assert context_params == CONTEXT
    assert whole.devices == ("RPC0",)
    assert whole.num_gpu_layers == 5
    none = [replace(found[0], memory_free=0)]
    assert fitting_placement(tiny_gguf, none, CONTEXT, settings) == (ON_CPU, CONTEXT)


def test_a_context_is_shrunk_only_if_told(
    tiny_gguf: Path, worker: Worker, found: list[Device]
) -> None:
    large = replace(CONTEXT, context_size=65536)  # 256 MiB of keys and values
    tight = [replace(found[0], memory_free=MIN_GPU_MARGIN + 100 * MIB)]
    for shrink_ctx in (False, True):
        settings = load_settings(rpc=[worker.address], shrink_ctx=shrink_ctx)
        placement, context_params = fitting_placement(tiny_gguf, tight, large, settings)
        assert (placement.num_gpu_layers == 5) == shrink_ctx
        assert (2048 <= context_params.context_size < 65536) == shrink_ctx


def test_what_does_not_fit_is_refused_with_what_does(
    tiny_gguf: Path, worker: Worker, found: list[Device]
) -> None:
    workers = [worker.address]
    asked = Placement(("RPC0",), -1, overrides=(("ffn_down", "CPU"),))
    with Model(tiny_gguf, no_alloc=True) as model:
        check_fits(model, asked, found, CONTEXT, workers)
        little = [replace(found[0], memory_free=5 * MIB)]
        with pytest.raises(DeviceError, match=r"RPC0 would need .* has 5 MiB: ") as caught:
            check_fits(model, asked, little, CONTEXT, workers)
        number = int(str(caught.value).split("--gpu-layers ")[1].split()[0])
        assert 0 <= number < 5
        check_fits(model, replace(asked, num_gpu_layers=number), little, CONTEXT, workers)
        more = replace(asked, num_gpu_layers=number + 1)
        with pytest.raises(DeviceError, match="RPC0"):
            check_fits(model, more, little, CONTEXT, workers)
        none = [replace(found[0], memory_free=0)]
        whole_device = replace(asked, overrides=((".", "RPC0"),))
        with pytest.raises(DeviceError, match="glm3edge plan shows what fits"):
            check_fits(model, whole_device, none, CONTEXT, workers)


def test_the_cpus_memory_counts_too(
    tiny_gguf: Path, worker: Worker, found: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glm3edge.placement.fitting.system_memory", lambda: SystemMemory(MIB, MIB))
    asked = Placement(("RPC0",), 1)
    with (
        Model(tiny_gguf, no_alloc=True) as model,
        pytest.raises(DeviceError, match=r"CPU would need .* has 1 MiB"),
    ):
        check_fits(model, asked, found, CONTEXT, [worker.address])
