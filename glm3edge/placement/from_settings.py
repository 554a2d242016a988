"""Placement from settings: the options of ``serve`` that name layers, tensors and devices."""

from collections.abc import Sequence

from glm3edge.config.ranges import parse_ranges, parse_shares
from glm3edge.config.settings import Settings
from glm3edge.errors import ConfigError
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU, Device

_ALL = -1


def chosen_placement(
    settings: Settings, devices: Sequence[Device], *, num_layers: int
) -> Placement | None:
    """Placement that ``settings`` name; None if they leave it to the search.

    Args:
        settings: their options for layers, tensors and devices.
        devices: the devices that layers can be offloaded to.
        num_layers: number of the model's layers, the output not counted.

    Raises:
        ConfigError: the options name a layer or a device that does not exist.
    """
    cpu_layers = parse_ranges(settings.cpu_layers)
    main_gpu, shares = _main_gpu(settings, devices), _shares(settings, devices)
    patterns = _patterns(settings, devices if main_gpu is None else [devices[main_gpu]])
    is_asked = cpu_layers or patterns or shares or main_gpu is not None
    if settings.gpu_layers == "auto" and not is_asked:
        return None
    if settings.gpu_layers == "0" and not patterns:
        return ON_CPU
    beyond = [number for number in cpu_layers if number >= num_layers]
    if beyond:
        raise ConfigError(
            f"--cpu-layers {settings.cpu_layers}: the model has layers 0 to {num_layers - 1}"
        )
    return Placement(
        devices=tuple(device.name for device in devices),
        num_gpu_layers=_num_gpu_layers(settings, cpu_layers, num_layers),
        overrides=(*patterns, *_layer_patterns(cpu_layers)),
        tensor_split=shares,
        main_gpu=main_gpu,
        kv_on_gpu=settings.kv_on_gpu,
    )


def _num_gpu_layers(settings: Settings, cpu_layers: frozenset[int], num_layers: int) -> int:
    """Number of layers to offload; leading CPU layers are left out, so their KV cache is too."""
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


def _patterns(settings: Settings, devices: Sequence[Device]) -> list[tuple[str, str]]:
    names = [CPU, *(device.name for device in devices)]
    pairs = []
    for pair in settings.tensor_placement:
        pattern, _, name = pair.rpartition("=")
        if name not in names:
            raise ConfigError(f"--tensor-placement {pair}: the devices are {_list(names)}")
        pairs.append((pattern, name))
    return pairs


def _shares(settings: Settings, devices: Sequence[Device]) -> tuple[float, ...]:
    shares = parse_shares(settings.tensor_split)
    if shares and len(shares) != len(devices):
        names = _list([device.name for device in devices])
        raise ConfigError(f"--tensor-split {settings.tensor_split}: give a share for each: {names}")
    return shares


def _main_gpu(settings: Settings, devices: Sequence[Device]) -> int | None:
    number = settings.main_gpu
    if number is not None and number >= len(devices):
        names = _list([f"{index}: {device.name}" for index, device in enumerate(devices)])
        raise ConfigError(f"--main-gpu {number}: the GPUs are {names}")
    return number


def check_no_device_options(settings: Settings) -> None:
    """Refuse options that need a device, on a machine that has none.

    Raises:
        ConfigError: one of them is set; it names the first.
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
            f"{option}: llama.cpp found no GPU that it can use here, and no worker (--rpc); "
            "glm3edge doctor shows what is missing"
        )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
