"""Fixtures to plan with: models, a child process with fake devices, a worker and its devices."""

import pytest

from glm3edge.llama.devices import Device
from glm3edge.placement.devices import offload_devices
from tests.support.planning import child, glm3_tiny, headers
from tests.support.rpc_workers import Worker, worker

__all__ = ["child", "glm3_tiny", "headers", "worker"]


@pytest.fixture(scope="module")
def found(worker: Worker) -> list[Device]:
    """Devices of the worker."""
    return offload_devices([worker.address])
