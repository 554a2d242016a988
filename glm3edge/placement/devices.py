"""Which devices there are and what fits on them, asked in processes that drivers may end."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from glm3edge.config.settings import Settings
from glm3edge.errors import ConfigError, DeviceError, EngineLostError
from glm3edge.llama.allocations import reports_allocations
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU, Device, add_workers, devices, gpu_backends, idle_backends
from glm3edge.llama.model import Model
from glm3edge.llama.remote_context import BUSY, CONNECT_SECONDS
from glm3edge.llama.workers import find_duplicate, worker_problem
from glm3edge.placement.budgets import cpu_budget, gpu_budgets
from glm3edge.placement.fitting import fit_or_advise
from glm3edge.placement.machine.memory import system_memory
from glm3edge.placement.memory_usage import ContextParams, MemoryUsage, measure_memory

logger = logging.getLogger(__name__)

LEAST_CONTEXT_SIZE = 2048
"""Tokens that a context keeps when it is made smaller."""

_MIB = 2**20


def offload_devices(workers: Sequence[str]) -> list[Device]:
    """Devices that layers can be moved to: those of ``workers``, then this machine's.

    Raises:
        ConfigError: a worker cannot be reached, or does not answer.
        DeviceError: a worker offers nothing, or llama.cpp was built without RPC.
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
        reason = (
            f"workers {', '.join(workers)}: {BUSY}" if "no answer" in exc.reason else exc.reason
        )
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


def fitting_placement(
    path: Path, found: Sequence[Device], context_params: ContextParams, settings: Settings
) -> tuple[Placement, ContextParams]:
    """The placement that puts most of the GGUF file ``path`` on the devices ``found``.

    The context gets smaller if the settings allow that and all layers fit then.

    Raises:
        DoesNotFitError: what has to be left to the CPU is more than it has.
        EngineLostError: a device is lost.
        ModelError: the file is no model.
    """
    if not reports_allocations():  # then what fits is found out by loading
        names = tuple(device.name for device in found)
        return Placement(names, -1, kv_on_gpu=settings.kv_on_gpu), context_params
    least = replace(
        context_params, context_size=min(context_params.context_size, LEAST_CONTEXT_SIZE)
    )
    search = partial(
        fit_or_advise,
        path,
        gpu_budgets(found),
        cpu_budget(),
        context_params,
        kv_on_gpu=settings.kv_on_gpu,
        shrink_to=least if settings.shrink_ctx else None,
        workers=settings.rpc,
    )
    fit = search() if settings.rpc else run_in_child(search)  # with workers it is child already
    if set(fit.layers) == {CPU} and not fit.placement.overrides:
        return ON_CPU, fit.context_params
    return fit.placement, fit.context_params


class _Shortage(NamedTuple):
    """What a placement needs, and the layers on devices that would fit with its other options."""

    needed: MemoryUsage
    num_fitting: int | None


def check_fits(
    model: Model,
    placement: Placement,
    found: Sequence[Device],
    context_params: ContextParams,
    workers: Sequence[str],
) -> None:
    """Refuse a placement for which a device, or the CPU, has not enough memory.

    Raises:
        DeviceError: naming the device, and a number of layers that fits.
        EngineLostError: a device is lost.
        ModelError: the file is no model.
    """
    if not reports_allocations():
        return
    free = {device.name: device.memory_free for device in found}
    free[CPU] = system_memory().total
    num_layers = placement.num_gpu_layers if placement.num_gpu_layers >= 0 else model.num_layers + 1
    shortage = run_in_child(
        _shortage,
        model.path,
        replace(placement, num_gpu_layers=num_layers),
        context_params,
        workers,
        free,
    )
    if shortage is None:
        return
    name, needed = next(
        (part.device, part.total)
        for part in shortage.needed.devices
        if part.total > free.get(part.device, 0)
    )
    fitting = shortage.num_fitting
    advice = "glm3edge plan tells what fits" if fitting is None else f"--gpu-layers {fitting} fits"
    raise DeviceError(
        f"{name} would need {needed / _MIB:,.0f} MiB and has {free[name] / _MIB:,.0f} MiB: {advice}"
    )


def _shortage(
    path: Path,
    placement: Placement,
    context_params: ContextParams,
    workers: Sequence[str],
    free: dict[str, int],
) -> _Shortage | None:
    """What is short, if anything is. The more layers on devices, the less there is for the CPU."""
    add_workers(workers)
    needed = measure_memory(path, placement, context_params)
    if needed.fits(free):
        return None
    for number in reversed(range(placement.num_gpu_layers)):
        fewer = replace(placement, num_gpu_layers=number)
        if measure_memory(path, fewer, context_params).fits(free):
            return _Shortage(needed, number)
    return _Shortage(needed, None)
