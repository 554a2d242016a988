"""The command line of ``glm3edge worker``, and its banner."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import typer

from glm3edge.commands.logs import announce, is_json, start_logging
from glm3edge.commands.options import LogFormatOptions, LogLevelOptions, Threads
from glm3edge.commands.signature import takes
from glm3edge.config import defaults
from glm3edge.config.addresses import DEFAULT_WORKER_PORT, is_local, is_wildcard
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.placement.machine.cores import num_threads
from glm3edge.placement.machine.memory import system_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glm3edge.commands.worker.rpc_process import WorkerConfig
    from glm3edge.commands.worker.tensor_cache import TensorCache
    from glm3edge.llama.devices import Device

_MIB = 2**20
_WARNING = (
    "warning  The protocol has no authentication and no encryption: anyone who can reach this\n"
    "         address can use this worker, crash it, and read what it computes. Offer it only in\n"
    "         a network that you trust."
)


@dataclass(frozen=True, kw_only=True)
class WorkerOptions(LogLevelOptions, LogFormatOptions):
    """Options of ``glm3edge worker``."""

    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is all of this machine's.")
    ] = defaults.HOST
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = DEFAULT_WORKER_PORT
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Device to offer, by its name in glm3edge doctor. Repeatable. "
            "[the GPUs, or else the CPU]",
        ),
    ] = None
    threads: Threads = None
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache",
            help="Keep tensors of more than 10 MiB on disk, so that they need not be sent again: "
            "for each model as much as its layers on this worker.",
        ),
    ] = False
    cache_dir: Annotated[
        Path | None,
        typer.Option(help="Cache folder; tensors are in rpc-tensors there. [the platform's]"),
    ] = None


@takes(WorkerOptions)
def worker_command(options: WorkerOptions) -> None:
    """Offer this machine's devices to a server elsewhere: glm3edge serve --rpc HOST:PORT.

    It is llama.cpp's own RPC server. One client is served at a time; others wait until it leaves.
    Both sides need the same version of llama.cpp. It serves until Ctrl-C or SIGTERM.
    """
    # Import llama.cpp, which takes long.
    from glm3edge.commands.worker.rpc_process import WorkerConfig  # noqa: PLC0415
    from glm3edge.commands.worker.run import free_address, run  # noqa: PLC0415

    start_logging(options.log_level, as_json=options.json_logs)
    settings = load_settings(threads=options.threads, cache_dir=options.cache_dir)
    cache = _tensor_cache(settings.cache_dir) if options.cache else None
    host, port = free_address(options.host, options.port)
    config = WorkerConfig(host, port, tuple(options.device or ()), num_threads(settings.threads))

    def on_ready(devices: "list[Device]") -> None:
        if is_json():
            announce("ready", f"{', '.join(device.name for device in devices)} on {config.address}")
        else:
            print(_banner(config, devices, cache), flush=True)

    run(config, cache, on_ready=on_ready)
    announce("stopped")


def _tensor_cache(folder: Path) -> "TensorCache":
    from glm3edge.commands.worker.tensor_cache import MIN_FREE_BYTES, TensorCache  # noqa: PLC0415

    cache = TensorCache(folder / "rpc-tensors")
    if not cache.has_space():
        raise ConfigError(
            f"--cache: less than {MIN_FREE_BYTES / _MIB:,.0f} MiB are free for {cache.folder}; "
            "free some space, or choose another --cache-dir"
        )
    try:
        cache.folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"--cache-dir {folder}: {exc.strerror or exc}") from exc
    return cache


def _banner(
    config: "WorkerConfig", devices: "Sequence[Device]", cache: "TensorCache | None"
) -> str:
    lines = [
        f"worker   {config.address}  (one client at a time)",
        *([] if is_local(config.host) else [_WARNING]),
        *_device_lines(devices),
        *_client_lines(config),
        "stop     Ctrl-C",
    ]
    if cache is not None:
        lines.insert(-2, f"cache    {cache.folder}, {cache.num_bytes / _MIB:,.1f} MiB")
    return "\n".join(lines)


def _device_lines(devices: "Sequence[Device]") -> list[str]:
    lines: list[str] = []
    for device in map(_with_free_memory, devices):
        free, total = device.memory_free / _MIB, device.memory_total / _MIB
        label = "" if lines else "devices"
        lines.append(
            f"{label:<8} {device.name}  {device.description}, {free:,.0f} of {total:,.0f} MiB free"
        )
    return lines


def _with_free_memory(device: "Device") -> "Device":
    """``device`` with the memory that is available; llama.cpp reports all of the CPU's as free."""
    if device.is_offload:
        return device
    memory = system_memory()
    return replace(device, memory_free=memory.available, memory_total=memory.total)


def _client_lines(config: "WorkerConfig") -> list[str]:
    hosts = _own_addresses() if is_wildcard(config.host) else [config.host]
    lines = [f"         glm3edge serve --rpc {host}:{config.port}" for host in hosts]
    return ["use" + lines[0][3:], *lines[1:]]


def _own_addresses() -> list[str]:
    """IPv4 addresses by which other machines may reach this one."""
    addresses = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if "." in entry.address and ":" not in entry.address
    ]
    return [address for address in addresses if not is_local(address)] or addresses
