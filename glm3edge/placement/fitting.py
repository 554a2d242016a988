"""Fitting a model on devices: search for a placement, or check one that the user chose."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from glm3edge.config.settings import Settings
from glm3edge.errors import DeviceError
from glm3edge.llama.allocations import reports_allocations
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU, Device, add_workers
from glm3edge.llama.model import Model
from glm3edge.placement.advice import fit_or_advise
from glm3edge.placement.budgets import cpu_budget, gpu_budgets
from glm3edge.placement.machine.memory import system_memory
from glm3edge.placement.memory_usage import ContextParams, MemoryUsage, measure_memory

LEAST_CONTEXT_SIZE = 2048
"""Tokens that a context keeps when it is shrunk."""

_MIB = 2**20


def fitting_placement(
    path: Path, devices: Sequence[Device], context_params: ContextParams, settings: Settings
) -> tuple[Placement, ContextParams]:
    """Find the placement that puts most of a GGUF file on the devices.

    The context is shrunk if the settings allow it and all layers fit then.

    Raises:
        DoesNotFitError: the CPU has not enough memory for the rest.
        EngineLostError: a device is lost.
        ModelError: the file is no model.
    """
    if not reports_allocations():  # then loading shows what fits
        names = tuple(device.name for device in devices)
        return Placement(names, -1, kv_on_gpu=settings.kv_on_gpu), context_params
    least = replace(
        context_params, context_size=min(context_params.context_size, LEAST_CONTEXT_SIZE)
    )
    search = partial(
        fit_or_advise,
        path,
        gpu_budgets(devices),
        cpu_budget(),
        context_params,
        kv_on_gpu=settings.kv_on_gpu,
        shrink_to=least if settings.shrink_ctx else None,
        workers=settings.rpc,
    )
    fit = search() if settings.rpc else run_in_child(search)  # with workers it uses a child itself
    if set(fit.layers) == {CPU} and not fit.placement.overrides:
        return ON_CPU, fit.context_params
    return fit.placement, fit.context_params


class _Shortage(NamedTuple):
    """Memory usage of a placement that does not fit, and the number of GPU layers that would."""

    usage: MemoryUsage
    num_fitting: int | None


def check_fits(
    model: Model,
    placement: Placement,
    devices: Sequence[Device],
    context_params: ContextParams,
    workers: Sequence[str],
) -> None:
    """Check that every device and the CPU have enough memory for a placement.

    Raises:
        DeviceError: one has not; it is named, with a number of GPU layers that fits.
        EngineLostError: a device is lost.
        ModelError: the file is no model.
    """
    if not reports_allocations():
        return
    free = {device.name: device.memory_free for device in devices}
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
        for part in shortage.usage.devices
        if part.total > free.get(part.device, 0)
    )
    fitting = shortage.num_fitting
    advice = "glm3edge plan shows what fits" if fitting is None else f"--gpu-layers {fitting} fits"
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
    """The shortage of a placement, None if it fits."""
    add_workers(workers)
    usage = measure_memory(path, placement, context_params)
    if usage.fits(free):
        return None
    for number in reversed(range(placement.num_gpu_layers)):
        fewer = replace(placement, num_gpu_layers=number)
        if measure_memory(path, fewer, context_params).fits(free):
            return _Shortage(usage, number)
    return _Shortage(usage, None)
