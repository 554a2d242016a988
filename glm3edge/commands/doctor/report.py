"""Report of an examination: as text, and as JSON."""

import json
import sys
from dataclasses import asdict
from enum import Enum
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from glm3edge import __version__
from glm3edge.commands.doctor.examination import Bandwidth, Examination
from glm3edge.llama.devices import Device, DeviceKind
from glm3edge_convert.counts import counted
from glm3edge_convert.printable import one_line

_MIB = 2**20
_WIDTH = 100  # of running text, and of tables where there is no terminal
_KINDS = {
    DeviceKind.CPU: "CPU",
    DeviceKind.GPU: "GPU",
    DeviceKind.INTEGRATED_GPU: "integrated GPU",
    DeviceKind.ACCELERATOR: "accelerator",
    DeviceKind.META: "several",
}


def as_json(found: Examination) -> dict[str, Any]:
    """Data for JSON; sizes are in bytes, bandwidth in bytes per second."""
    value: dict[str, Any] = json.loads(json.dumps(asdict(found), default=_plain))
    value["version"] = __version__
    if found.bandwidth is not None:
        value["bandwidth"]["tokens_per_second"] = found.bandwidth.tokens_per_second
    return value


def _plain(value: object) -> object:
    if isinstance(value, DeviceKind):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value)} cannot be written as JSON")


def show(found: Examination, console: Console | None = None) -> None:
    """Print an examination."""
    width = None if sys.stdout.isatty() else _WIDTH
    console = console or Console(width=width, highlight=False, markup=False, emoji=False)
    console.print("Devices", style="bold")
    console.print(Padding(_device_table(found), (0, 0, 0, 2), expand=False))
    console.print()
    console.print("Machine", style="bold")
    console.print(Padding(_two_columns(_machine(found)), (0, 0, 0, 2), expand=False))
    console.print()
    console.print("llama.cpp", style="bold")
    console.print(Padding(_two_columns(_build(found)), (0, 0, 0, 2), expand=False))
    console.print()
    console.print("Advice", style="bold")
    for advice in found.advice:
        mark = "!" if advice.is_fault else "-"
        console.print(Padding(_two_columns([(mark, advice.text)]), (0, 0, 0, 2), expand=False))
        for command in advice.commands:  # whole, to be copied
            console.print(f"      {command}", soft_wrap=True)


def _device_table(found: Examination) -> Table:
    table = Table(box=None, pad_edge=False, header_style="")
    for heading in ("NAME", "KIND", "BACKEND", "DESCRIPTION"):
        table.add_column(heading, overflow="fold")
    for heading in ("FREE", "TOTAL"):
        table.add_column(heading, justify="right", no_wrap=True)
    for device in found.devices:
        table.add_row(*_cells(device, _KINDS[device.kind]))
    for worker in found.workers:
        for device in worker.devices:
            table.add_row(*_cells(device, "worker's"))
    return table


def _cells(device: Device, kind: str) -> list[Text]:
    cells = [device.name, kind, device.backend, device.description]
    sizes = [_mib(device.memory_free), _mib(device.memory_total)]
    return [Text(one_line(cell)) for cell in cells + sizes]


def _two_columns(lines: list[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=_WIDTH)
    for label, text in lines:
        table.add_row(Text(label), Text(text))
    return table


def _machine(found: Examination) -> list[tuple[str, str]]:
    threads, memory = found.threads, found.memory
    cores, usable = counted(threads.physical, "core"), counted(threads.usable, "compute thread")
    return [
        ("processor", f"{found.processor.name} ({found.processor.machine})"),
        ("threads", f"{usable}; {cores}, {threads.logical} logical"),
        ("instructions", " ".join(found.instruction_sets) or "unknown"),
        ("memory", f"{_mib(memory.available)} of {_mib(memory.total)} available"),
        *_speed_lines(found.bandwidth, threads.usable),
    ]


def _speed_lines(bandwidth: Bandwidth | None, num_threads: int) -> list[tuple[str, str]]:
    if bandwidth is None:
        return []
    one, all_threads = bandwidth.one_thread / 1e9, bandwidth.all_threads / 1e9
    more = f", {all_threads:.1f} GB/s with {num_threads} threads" if num_threads > 1 else ""
    speed = f"about {bandwidth.tokens_per_second:.1f} tokens/s"
    return [
        ("bandwidth", f"{one:.1f} GB/s read with 1 thread{more}"),
        ("speed", f"{speed} to expect of ChatGLM3-6B in q4_k_m, one stream on the CPU"),
    ]


def _build(found: Examination) -> list[tuple[str, str]]:
    build = found.build
    features = [
        (f"built {name}", " ".join(k if v == "1" else f"{k}={v}" for k, v in features.items()))
        for name, features in build.features.items()
    ]
    return [
        ("glm3edge", __version__),
        ("llama-cpp-python", f"{build.binding}, with ggml {build.ggml}"),
        ("backends", " ".join(build.backends)),
        *features,
        *([("unused", " ".join(found.unused_sets))] if found.unused_sets else []),
    ]


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / _MIB:,.0f} MiB"
