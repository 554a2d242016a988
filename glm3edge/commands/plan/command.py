"""The command line of ``glm3edge plan``."""

import re
import shutil
import sys
from dataclasses import dataclass
from typing import Annotated

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError

from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import (
    AsJson,
    CacheDir,
    CtxSize,
    KVCacheType,
    LogLevelOptions,
    Parallel,
    Rpc,
    Threads,
)
from glm3edge.commands.signature import takes
from glm3edge.errors import ConfigError
from glm3edge.placement.machine.cards import card_bandwidth
from glm3edge_convert.printable import json_text

_BARE_NUMBER = re.compile(r"\s*[0-9]+(\.[0-9]*)?\s*")
_LEAST_BYTES = 2**20  # that a number without a unit may be
_SIZE = TypeAdapter(ByteSize)


@dataclass(frozen=True, kw_only=True)
class PlanOptions(LogLevelOptions):
    """Options of ``glm3edge plan``."""

    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A GGUF file, a checkpoint folder (its config.json is enough), a repository that "
            "was pulled, or chatglm3-6b, -32k or -128k, pulled or not. Default: chatglm3-6b.",
            show_default=False,
        ),
    ] = None
    vram: Annotated[
        str | None,
        typer.Option(
            metavar="4GiB[,6GiB]",
            help="Memory of each GPU to plan for; 0 for no GPU. [this machine's]",
        ),
    ] = None
    ram: Annotated[
        str | None,
        typer.Option(metavar="8GiB", help="Free memory of the CPU to plan for. [this machine's]"),
    ] = None
    ctx_size: CtxSize = None
    parallel: Parallel = None
    kv_type: KVCacheType = None
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="Quantization to plan for. Repeatable. [one of each size]"),
    ] = None
    rpc: Rpc = None
    bandwidth: Annotated[
        str | None,
        typer.Option(metavar="30GB/s", help="Memory bandwidth of the CPU. [measured here]"),
    ] = None
    gpu_bandwidth: Annotated[
        str | None,
        typer.Option(
            metavar="200GB/s",
            help="Memory bandwidth of the GPUs, or a card's name, such as 'RTX 4060'. "
            "[by this machine's cards]",
        ),
    ] = None
    threads: Threads = None
    cache_dir: CacheDir = None
    as_json: AsJson = False


@takes(PlanOptions)
def plan_command(options: PlanOptions) -> None:
    """Estimate which quantizations of a model fit, on which devices, and how fast they run.

    llama.cpp itself computes the memory, with nothing loaded; some is left free on each device.
    """
    start_logging(options.log_level)
    # Import llama.cpp, which takes long.
    from glm3edge.commands.plan.report import as_text  # noqa: PLC0415
    from glm3edge.commands.plan.run import find_planned_model, make_report  # noqa: PLC0415

    settings = options.settings()
    gpus = None if options.vram is None else _gpu_sizes(options.vram)
    ram = None if options.ram is None else _size("--ram", options.ram)
    bandwidth = _rate("--bandwidth", options.bandwidth)
    gpu_bandwidth = _card_rate("--gpu-bandwidth", options.gpu_bandwidth)
    report = make_report(
        find_planned_model(settings.model, settings),
        settings,
        types=options.types or (),
        gpus=gpus,
        ram=ram,
        cpu_bandwidth=bandwidth,
        gpu_bandwidth=gpu_bandwidth,
    )
    if options.as_json:
        print(json_text(report.as_json(), indent=2))
    else:
        print(as_text(report, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))


def _gpu_sizes(text: str) -> tuple[int, ...]:
    return tuple(size for part in text.split(",") if (size := _size("--vram", part)))


def _size(option: str, text: str) -> int:
    _check_unit(option, text, example="4GiB")
    try:
        size = int(_SIZE.validate_python(text.strip()))
    except ValidationError:
        size = -1
    if size < 0:
        raise ConfigError(f"{option} {text}: write a size, such as 4GiB")
    return size


def _check_unit(option: str, text: str, *, example: str) -> None:
    """Refuse a number without a unit that cannot be meant in bytes."""
    if _BARE_NUMBER.fullmatch(text) and 0 < float(text) < _LEAST_BYTES:
        raise ConfigError(f"{option} {text}: the unit is missing; write {example}, for example")


def _rate(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    _check_unit(option, text, example="30GB/s")
    rate = _parsed_rate(text)
    if rate is None:
        raise ConfigError(f"{option} {text}: write bytes per second, such as 30GB/s")
    return rate


def _card_rate(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    _check_unit(option, text, example="200GB/s")
    rate = _parsed_rate(text) or card_bandwidth(text)
    if rate is None:
        raise ConfigError(
            f"{option} {text}: write bytes per second, such as 200GB/s, or the name of a common "
            "card, such as 'RTX 4060'"
        )
    return rate


def _parsed_rate(text: str) -> float | None:
    """Bytes per second, None if ``text`` says none."""
    try:
        return float(_SIZE.validate_python(text.strip().removesuffix("/s"))) or None
    except ValidationError:
        return None
