"""Devices that layers can be offloaded to, listed in a child process that drivers may end."""

import logging
from collections.abc import Sequence

from glm3edge.errors import ConfigError, EngineLostError, EngineStalledError
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.devices import Device, add_workers, devices, gpu_backends, idle_backends
from glm3edge.llama.remote_context import BUSY, CONNECT_SECONDS
from glm3edge.llama.workers import find_duplicate, worker_problem

logger = logging.getLogger(__name__)


def offload_devices(workers: Sequence[str]) -> list[Device]:
    """List the devices that layers can be offloaded to: those of ``workers``, then this machine's.

    Raises:
        ConfigError: a worker cannot be reached, or does not answer.
        DeviceError: a worker offers no device, or llama.cpp was built without RPC.
    """
    if not workers and not gpu_backends():
        return []
    if (reason := worker_problem(workers)) is not None:
        raise ConfigError(f"{reason}: start it with glm3edge worker")
    if (pair := find_duplicate(workers)) is not None:
        raise ConfigError(f"--rpc: {pair[0]} and {pair[1]} are the same worker")
    try:
        found = run_in_child(_offload_devices, tuple(workers), timeout=CONNECT_SECONDS)
    except EngineLostError as exc:
        is_busy = workers and isinstance(exc, EngineStalledError)
        reason = f"workers {', '.join(workers)}: {BUSY}" if is_busy else exc.reason
        raise ConfigError(f"the devices cannot be listed: {reason}") from exc
    for backend in idle_backends(found):
        logger.warning(
            "llama.cpp is built for %s and finds no GPU for it; is its driver installed?", backend
        )
    return found


def _offload_devices(workers: Sequence[str]) -> list[Device]:
    remote = add_workers(workers)
    names = {device.name for device in remote}
    return remote + [
        device for device in devices() if device.is_offload and device.name not in names
    ]
