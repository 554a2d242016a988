from pathlib import Path

import pytest

from glm3edge.errors import ConfigError
from glm3edge.llama.device_placement import Placement
from glm3edge.llama.devices import Device
from glm3edge.llama.model import Model
from glm3edge.llama.remote_context import ContextSpec, RemoteContext
from glm3edge.placement.devices import offload_devices
from tests.support.rpc_workers import Worker

pytestmark = pytest.mark.slow


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
