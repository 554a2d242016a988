"""``glm3edge plan``: what fits on a machine, where, and how fast it will be."""

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError

from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import LogLevel
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError

_SIZE = TypeAdapter(ByteSize)


def plan_command(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A GGUF file, a checkpoint folder (its config.json will do) or a repository that "
            "was pulled. Default: ChatGLM3-6B.",
            show_default=False,
        ),
    ] = None,
    vram: Annotated[
        str | None,
        typer.Option(
            metavar="4GiB[,6GiB]",
            help="Memory of each GPU of a machine that is described; 0 for none. [this machine's]",
        ),
    ] = None,
    ram: Annotated[
        str | None,
        typer.Option(
            metavar="8GiB", help="Memory of it that is free for a model. [this machine's]"
        ),
    ] = None,
    ctx_size: Annotated[
        int | None, typer.Option(help="Tokens of context. [the model's own, up to 8192]")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(help="Requests that run at once and share the context. [4]")
    ] = None,
    kv_type: Annotated[
        str | None,
        typer.Option(metavar="f16|q8_0|q4_0", help="What keys and values are kept in. [f16]"),
    ] = None,
    type: Annotated[  # noqa: A002 - the option's name
        list[str] | None,
        typer.Option(help="Quantization to look at. Repeatable. [one of each size]"),
    ] = None,
    rpc: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Worker (glm3edge worker) on another machine that shares the layers. Repeatable.",
        ),
    ] = None,
    bandwidth: Annotated[
        str | None,
        typer.Option(metavar="30GB/s", help="Memory bandwidth of the CPU. [measured here]"),
    ] = None,
    gpu_bandwidth: Annotated[
        str | None,
        typer.Option(metavar="200GB/s", help="Memory bandwidth of the GPUs. [not known]"),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Compute threads. [physical cores]")] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help="Where converted models are kept. [the platform's]")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with sizes in bytes, instead of a table.")
    ] = False,
    log_level: LogLevel = "warning",
) -> None:
    """Tell which quantizations of a model fit, what goes where, and how fast it will be.

    Memory is reckoned by llama.cpp itself, with nothing loaded; some is left free on each device.
    """
    start_logging(log_level)
    # What takes long to import is imported once there is something to do.
    from glm3edge.commands.plan.report import as_text  # noqa: PLC0415
    from glm3edge.commands.plan.run import find_planned_model, make_report  # noqa: PLC0415

    settings = load_settings(
        ctx_size=ctx_size,
        parallel=parallel,
        kv_type=kv_type,
        rpc=rpc or None,
        threads=threads,
        cache_dir=cache_dir,
    )
    gpus = None if vram is None else _gpu_sizes(vram)
    free = None if ram is None else _size("--ram", ram)
    cpu_bandwidth = None if bandwidth is None else _rate("--bandwidth", bandwidth)
    report = make_report(
        find_planned_model(model, settings),
        settings,
        types=type or (),
        gpus=gpus,
        ram=free,
        cpu_bandwidth=cpu_bandwidth,
        gpu_bandwidth=None if gpu_bandwidth is None else _rate("--gpu-bandwidth", gpu_bandwidth),
    )
    if as_json:
        print(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        print(as_text(report, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))


def _gpu_sizes(text: str) -> tuple[int, ...]:
    return tuple(size for part in text.split(",") if (size := _size("--vram", part)))


def _size(option: str, text: str) -> int:
    try:
        size = int(_SIZE.validate_python(text.strip()))
    except ValidationError:
        size = -1
    if size < 0:
        raise ConfigError(f"{option} {text}: write a size, such as 4GiB")
    return size


def _rate(option: str, text: str) -> float:
    try:
        rate = float(_SIZE.validate_python(text.strip().removesuffix("/s")))
    except ValidationError:
        rate = 0.0
    if rate <= 0:
        raise ConfigError(f"{option} {text}: write bytes per second, such as 30GB/s")
    return rate
