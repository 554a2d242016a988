"""From the options of ``serve`` to a placement of the model on the devices that are here."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from glm3edge.config import Settings
from glm3edge.errors import ConfigError, EngineLostError
from glm3edge.llama.apart import run_apart
from glm3edge.llama.devices import CPU, Device, add_worker, devices
from glm3edge.llama.gpus import gpu_backends, idle_backends
from glm3edge.llama.placement import ON_CPU, Placement
from glm3edge.planning.account import Workload, account
from glm3edge.planning.rooms import cpu_room, gpu_rooms
from glm3edge.planning.search import Fit, best_placement
from glm3edge.ranges import parse_ranges, parse_shares
from glm3edge.workers import why_unreachable

logger = logging.getLogger(__name__)

_ALL = -1
_MIB = 2**20

T = TypeVar("T")


def offload_devices(workers: Sequence[str]) -> list[Device]:
    """Devices that layers can be moved to: those of ``workers``, then this machine's.

    They are asked for in a process of its own, which GPUs and workers may end.

    Raises:
        ConfigError: a worker cannot be reached.
        DeviceError: a worker offers nothing, or llama.cpp was built without RPC.
    """
    if not workers and not gpu_backends():
        return []
    try:
        if (reason := why_unreachable(workers)) is not None:
            raise ConfigError(f"{reason}: start it with glm3edge worker")
        found = run_apart(_offload_devices, tuple(workers))
    except EngineLostError as exc:
        raise ConfigError(f"the devices cannot be listed: {exc.reason}") from exc
    for backend in idle_backends(found):
        logger.warning(
            "llama.cpp is built for %s and finds no GPU for it; is its driver installed?", backend
        )
    return found


def _offload_devices(workers: Sequence[str]) -> list[Device]:
    remote = [device for address in workers for device in add_worker(address)]
    names = {device.name for device in remote}
    return remote + [
        device for device in devices() if device.is_offload and device.name not in names
    ]


def fitting_placement(
    path: Path, found: Sequence[Device], workload: Workload, settings: Settings
) -> Placement:
    """The placement that puts most of the GGUF file ``path`` on the devices ``found``.

    Raises:
        DoesNotFitError: what has to be left to the CPU is more than it has.
        ModelError: the file is no model.
    """
    fit = _best(path, found, workload, settings)
    if CPU in fit.layers and not fit.placement.overrides and set(fit.layers) == {CPU}:
        return ON_CPU
    return fit.placement


def check_fits(
    path: Path,
    placement: Placement,
    found: Sequence[Device],
    workload: Workload,
    settings: Settings,
) -> None:
    """Refuse a placement for which a device has not enough memory.

    Raises:
        ConfigError: naming the device, and a number of layers that fits.
        ModelError: the file is no model.
    """
    needed = _apart(account, path, placement, workload, workers=settings.rpc)
    for device in found:
        if needed[device.name].total > device.memory_free:
            fit = _best(path, found, workload, settings)
            raise ConfigError(
                f"{device.name} would need {needed[device.name].total / _MIB:,.0f} MiB and has "
                f"{device.memory_free / _MIB:,.0f} MiB free: --gpu-layers "
                f"{max(fit.placement.num_gpu_layers, 0)} fits"
            )


def _best(path: Path, found: Sequence[Device], workload: Workload, settings: Settings) -> Fit:
    return _apart(
        best_placement,
        path,
        gpu_rooms(found),
        cpu_room(),
        workload,
        kv_on_gpu=settings.kv_on_gpu,
        workers=settings.rpc,
    )


def _apart(function: Callable[..., T], *args: Any, workers: Sequence[str], **options: Any) -> T:
    """``function`` in a process of its own, since it asks devices; with workers it makes one."""
    if workers:
        return function(*args, workers=workers, **options)
    return run_apart(partial(function, *args, **options))


def chosen_placement(
    settings: Settings, found: Sequence[Device], *, num_layers: int
) -> Placement | None:
    """The placement that ``settings`` ask for; None if they leave it to what fits.

    Args:
        settings: whose options say which layers and tensors go where.
        found: the devices that layers can be moved to.
        num_layers: of the model, the output not counted.

    Raises:
        ConfigError: the options name a layer or a device that is not there.
    """
    cpu_layers = parse_ranges(settings.cpu_layers)
    if settings.gpu_layers == "0":
        return ON_CPU
    if (
        settings.gpu_layers == "auto"
        and not cpu_layers
        and not settings.tensor_placement
        and not settings.tensor_split
        and settings.main_gpu is None
    ):
        return None
    beyond = [number for number in cpu_layers if number >= num_layers]
    if beyond:
        raise ConfigError(
            f"--cpu-layers {settings.cpu_layers}: the model has layers 0 to {num_layers - 1}"
        )
    return Placement(
        devices=tuple(device.name for device in found),
        num_gpu_layers=_num_gpu_layers(settings, cpu_layers, num_layers),
        overrides=(*_patterns(settings, found), *_layer_patterns(cpu_layers)),
        tensor_split=_shares(settings, found),
        main_gpu=_main_gpu(settings, found),
        kv_on_gpu=settings.kv_on_gpu,
    )


def _num_gpu_layers(settings: Settings, cpu_layers: frozenset[int], num_layers: int) -> int:
    """As asked; the first layers that stay on the CPU take their keys and values with them."""
    num_first = next(n for n in range(num_layers + 1) if n not in cpu_layers)
    most = num_layers + 1 - num_first
    if settings.gpu_layers.isdecimal():
        return min(int(settings.gpu_layers), most)
    return most if num_first else _ALL


def _layer_patterns(cpu_layers: frozenset[int]) -> list[tuple[str, str]]:
    if not cpu_layers:
        return []
    numbers = "|".join(str(number) for number in sorted(cpu_layers))
    return [(rf"^blk\.({numbers})\.", CPU)]


def _patterns(settings: Settings, found: Sequence[Device]) -> list[tuple[str, str]]:
    names = [CPU, *(device.name for device in found)]
    pairs = []
    for pair in settings.tensor_placement:
        pattern, _, name = pair.rpartition("=")
        if name not in names:
            raise ConfigError(f"--tensor-placement {pair}: there is no {name}, only {_list(names)}")
        pairs.append((pattern, name))
    return pairs


def _shares(settings: Settings, found: Sequence[Device]) -> tuple[float, ...]:
    shares = parse_shares(settings.tensor_split)
    if shares and len(shares) != len(found):
        names = _list([device.name for device in found])
        raise ConfigError(f"--tensor-split {settings.tensor_split}: give a share for each: {names}")
    return shares


def _main_gpu(settings: Settings, found: Sequence[Device]) -> int | None:
    number = settings.main_gpu
    if number is not None and number >= len(found):
        names = _list([f"{index}: {device.name}" for index, device in enumerate(found)])
        raise ConfigError(f"--main-gpu {number}: there are {names}")
    return number


def check_nothing_asked(settings: Settings) -> None:
    """Where no device is, refuse what needs one.

    Raises:
        ConfigError: naming the option.
    """
    asked = {
        "--gpu-layers": settings.gpu_layers not in {"auto", "0"},
        "--tensor-placement": bool(settings.tensor_placement),
        "--tensor-split": bool(settings.tensor_split),
        "--main-gpu": settings.main_gpu is not None,
    }
    option = next((name for name, is_asked in asked.items() if is_asked), None)
    if option is not None:
        raise ConfigError(
            f"{option}: there is no GPU here that llama.cpp can use, and no worker (--rpc); "
            "glm3edge doctor tells what is missing"
        )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
