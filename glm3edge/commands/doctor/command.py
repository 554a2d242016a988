"""The command line of ``glm3edge doctor``."""

import sys
from typing import Annotated

import typer

from glm3edge.commands.doctor.advice import gpu_advice
from glm3edge.commands.doctor.gpus import detect_gpu_setup
from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import AsJson, LogLevel
from glm3edge.config.settings import load_settings
from glm3edge.errors import DeviceError
from glm3edge.llama.backends import installed_backends
from glm3edge_convert.printable import json_text


def doctor_command(
    rpc: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="Worker to ask for its devices. Repeatable."),
    ] = None,
    bandwidth: Annotated[
        bool, typer.Option("--bandwidth/--no-bandwidth", help="Measure memory bandwidth.")
    ] = True,
    as_json: AsJson = False,
    log_level: LogLevel = None,
) -> None:
    """Show this machine, the devices that llama.cpp finds, and what is missing to use its GPU.

    Exit codes: 0 all of them answered, 2 wrong usage, 8 a worker or llama.cpp did not answer.
    """
    start_logging(log_level)
    addresses = load_settings(rpc=rpc or None).rpc
    try:  # loads llama.cpp
        from glm3edge.commands.doctor.examination import examine  # noqa: PLC0415
        from glm3edge.commands.doctor.report import as_json as to_json  # noqa: PLC0415
        from glm3edge.commands.doctor.report import show  # noqa: PLC0415
    except (ImportError, OSError, RuntimeError) as exc:
        raise _cannot_load(exc) from exc
    found = examine(addresses, with_bandwidth=bandwidth)
    if as_json:
        print(json_text(to_json(found), indent=2))
    else:
        show(found)
    faults = [worker.fault for worker in found.workers if worker.fault is not None]
    if faults:
        sys.stdout.flush()
        raise DeviceError("; ".join(faults))


def _cannot_load(exc: Exception) -> DeviceError:
    """Error if llama.cpp's library cannot be loaded, such as without a GPU's driver."""
    backends = installed_backends()
    lines = [f"llama.cpp cannot be loaded: {exc}"]
    for advice in gpu_advice(detect_gpu_setup(), backends, ()):
        lines += [advice.text, *(f"    {command}" for command in advice.commands)]
    lines.append("To use no GPU, or if nothing else helps, install again:")
    return DeviceError("\n".join([*lines, "    rm -r .venv && make serve"]))
