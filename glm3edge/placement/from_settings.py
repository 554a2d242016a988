"""From the options of ``serve`` to a placement of the model on the devices that are here."""

from collections.abc import Sequence

from glm3edge.config.ranges import parse_ranges, parse_shares
from glm3edge.config.settings import Settings
from glm3edge.errors import ConfigError
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU, Device

_ALL = -1


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
    main_gpu, shares = _main_gpu(settings, found), _shares(settings, found)
    patterns = _patterns(settings, found if main_gpu is None else [found[main_gpu]])
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
        devices=tuple(device.name for device in found),
        num_gpu_layers=_num_gpu_layers(settings, cpu_layers, num_layers),
        overrides=(*patterns, *_layer_patterns(cpu_layers)),
        tensor_split=shares,
        main_gpu=main_gpu,
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
