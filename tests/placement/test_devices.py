from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError, DeviceError
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import Device
from glm3edge.llama.model import Model
from glm3edge.llama.remote_context import ContextSpec, RemoteContext
from glm3edge.placement.budgets import MIN_GPU_MARGIN
from glm3edge.placement.devices import check_fits, fitting_placement, offload_devices
from glm3edge.placement.machine.memory import SystemMemory
from glm3edge.placement.memory_usage import ContextParams
from tests.support.rpc_workers import Worker, new_worker

WORKLOAD = ContextParams(512, 32, 4)
MIB = 2**20


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = new_worker()
    yield worker
    worker.kill()


@pytest.fixture(scope="module")
def found(worker: Worker) -> list[Device]:
    return offload_devices([worker.address])


def test_devices_of_workers(worker: Worker, found: list[Device]) -> None:
    assert [(device.name, device.description) for device in found] == [("RPC0", worker.address)]
    assert found[0].memory_total > 0


def test_without_workers_and_gpus_nothing_is_asked() -> None:
    assert offload_devices([]) == []


def test_a_worker_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"the worker 127\.0\.0\.1:1 .* glm3edge worker"):
        offload_devices(["127.0.0.1:1"])


def test_one_worker_by_two_names_is_found_out(worker: Worker) -> None:
    port = worker.address.rpartition(":")[2]
    with pytest.raises(ConfigError, match=f"{worker.address} and localhost:{port} are the same"):
        offload_devices([worker.address, f"localhost:{port}"])


def test_a_worker_that_is_anothers_is_found_out(
    tiny_gguf: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves one connection at a time: another would wait for ever."""
    spec = ContextSpec(
        path=tiny_gguf,
        placement=Placement(("RPC0",), -1),
        workers=(worker.address,),
        context_size=256,
        batch_size=32,
        num_sequences=1,
        num_threads=1,
    )
    with Model(tiny_gguf, no_alloc=True) as model, RemoteContext(model, spec):
        monkeypatch.setattr("glm3edge.placement.devices.CONNECT_SECONDS", 2.0)
        with pytest.raises(ConfigError, match="no answer; a worker serves one server at a time"):
            offload_devices([worker.address])
        monkeypatch.undo()
    assert offload_devices([worker.address])


def test_what_fits_is_placed(tiny_gguf: Path, worker: Worker, found: list[Device]) -> None:
    settings = load_settings(rpc=[worker.address])
    whole, context_params = fitting_placement(tiny_gguf, found, WORKLOAD, settings)
    assert context_params == WORKLOAD
    assert whole.devices == ("RPC0",)
    assert whole.num_gpu_layers == 5
    none = [replace(found[0], memory_free=0)]
    assert fitting_placement(tiny_gguf, none, WORKLOAD, settings) == (ON_CPU, WORKLOAD)


def test_a_context_is_shrunk_only_if_told(
    tiny_gguf: Path, worker: Worker, found: list[Device]
) -> None:
    large = replace(WORKLOAD, context_size=65536)  # 256 MiB of keys and values
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
        check_fits(model, asked, found, WORKLOAD, workers)
        little = [replace(found[0], memory_free=5 * MIB)]
        with pytest.raises(DeviceError, match=r"RPC0 would need .* has 5 MiB: ") as caught:
            check_fits(model, asked, little, WORKLOAD, workers)
        number = int(str(caught.value).split("--gpu-layers ")[1].split()[0])
        assert 0 <= number < 5
        check_fits(model, replace(asked, num_gpu_layers=number), little, WORKLOAD, workers)
        more = replace(asked, num_gpu_layers=number + 1)
        with pytest.raises(DeviceError, match="RPC0"):
            check_fits(model, more, little, WORKLOAD, workers)
        none = [replace(found[0], memory_free=0)]
        whole_device = replace(asked, overrides=((".", "RPC0"),))
        with pytest.raises(DeviceError, match="glm3edge plan tells what fits"):
            check_fits(model, whole_device, none, WORKLOAD, workers)


def test_the_cpus_memory_counts_too(
    tiny_gguf: Path, worker: Worker, found: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glm3edge.placement.devices.system_memory", lambda: SystemMemory(MIB, MIB))
    asked = Placement(("RPC0",), 1)
    with (
        Model(tiny_gguf, no_alloc=True) as model,
        pytest.raises(DeviceError, match=r"CPU would need .* has 1 MiB"),
    ):
        check_fits(model, asked, found, WORKLOAD, [worker.address])
