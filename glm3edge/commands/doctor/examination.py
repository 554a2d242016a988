"""Examination of this machine, of llama.cpp's build and devices, and of workers."""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil

from glm3edge.commands.doctor.advice import (
    Advice,
    gpu_advice,
    processor_advice,
    rpc_advice,
    wsl_advice,
)
from glm3edge.commands.doctor.gpus import Gpu, detect_gpu_setup
from glm3edge.commands.doctor.processor import (
    Processor,
    instruction_sets,
    read_processor,
    unused_sets,
)
from glm3edge.errors import DeviceError, EngineLostError
from glm3edge.llama.build import Build, read_build
from glm3edge.llama.child_process import ChildProcess, run_in_child
from glm3edge.llama.devices import CPU, Device, add_worker, devices
from glm3edge.llama.workers import worker_problem
from glm3edge.placement.machine.bandwidth import read_bandwidth
from glm3edge.placement.machine.cores import num_compute_cores
from glm3edge.placement.machine.memory import SystemMemory, system_memory
from glm3edge.placement.speed import cpu_tokens_per_second

_MEASURE_SECONDS = 0.3
WORKER_SECONDS = 10.0
"""Timeout for a worker's list of devices."""

_WORD_OF = {"CUDA": "cuda", "Vulkan": "vulkan", "MTL": "metal", "Metal": "metal"}


@dataclass(frozen=True, slots=True)
class Threads:
    """Processor cores of the machine, and those that this process computes on by default."""

    logical: int
    physical: int
    usable: int


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bytes read from memory per second, by one thread and by ``Threads.usable``."""

    one_thread: float
    all_threads: float

    @property
    def tokens_per_second(self) -> float:
        """Expected decoding speed of ChatGLM3-6B in q4_k_m, one stream on the CPU."""
        return cpu_tokens_per_second(self.all_threads)


@dataclass(frozen=True, slots=True)
class Worker:
    """Worker: its devices, or the reason why it gave none."""

    address: str
    devices: tuple[Device, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """Facts about a machine; llama.cpp was built without the ``unused_sets`` of instructions."""

    devices: tuple[Device, ...]
    workers: tuple[Worker, ...]
    build: Build
    processor: Processor
    instruction_sets: tuple[str, ...]
    unused_sets: tuple[str, ...]
    threads: Threads
    memory: SystemMemory
    bandwidth: Bandwidth | None
    gpus: tuple[Gpu, ...]
    advice: tuple[Advice, ...]


def examine(workers: Sequence[str], *, with_bandwidth: bool) -> Examination:
    """Examine this machine and ``workers``.

    Args:
        workers: addresses of workers to ask for their devices.
        with_bandwidth: whether to measure memory bandwidth, for about a second.

    Raises:
        DeviceError: llama.cpp cannot list its devices.
    """
    try:
        build, found = run_in_child(_read_build_and_devices)
    except EngineLostError as exc:
        raise DeviceError(
            f"llama.cpp ended while it looked for devices ({exc.reason}); it may have been built "
            "for another processor, or a GPU's driver may fail"
        ) from exc
    memory, threads, processor = system_memory(), _threads(), read_processor()
    setup = detect_gpu_setup()
    unused = unused_sets(processor, build.features.get(CPU, {}))
    in_use = [(_WORD_OF.get(d.backend, d.backend), d.description) for d in found if d.is_offload]
    return Examination(
        devices=tuple(_with_free_memory(device, memory) for device in found),
        workers=_ask_workers(workers),
        build=build,
        processor=processor,
        instruction_sets=instruction_sets(processor),
        unused_sets=unused,
        threads=threads,
        memory=memory,
        bandwidth=_measure(threads) if with_bandwidth else None,
        gpus=setup.gpus,
        advice=(
            *gpu_advice(setup, build.backends, in_use),
            *processor_advice(unused, build.backends),
            *rpc_advice(build.backends),
            *wsl_advice(platform.release(), memory.total),
        ),
    )


def _read_build_and_devices() -> tuple[Build, list[Device]]:
    """Runs in a child process, which a GPU's driver or an illegal instruction may end."""
    return read_build(), devices()


def _with_free_memory(device: Device, memory: SystemMemory) -> Device:
    """``device`` with the memory that is available; llama.cpp reports all of the CPU's as free."""
    if device.name != CPU:
        return device
    return replace(device, memory_free=memory.available, memory_total=memory.total)


def _threads() -> Threads:
    logical = psutil.cpu_count() or 1
    return Threads(logical, psutil.cpu_count(logical=False) or logical, num_compute_cores())


def _measure(threads: Threads) -> Bandwidth:
    one = read_bandwidth(1, _MEASURE_SECONDS)
    several = read_bandwidth(threads.usable, _MEASURE_SECONDS) if threads.usable > 1 else one
    return Bandwidth(one_thread=one, all_threads=max(one, several))


def _ask_workers(addresses: Sequence[str]) -> tuple[Worker, ...]:
    """Ask each worker in a child process; devices are named as if all workers were in use."""
    workers: list[Worker] = []
    for address in addresses:
        number = sum(len(worker.devices) for worker in workers)
        worker = _ask_worker(address)
        names = [f"RPC{number + index}" for index in range(len(worker.devices))]
        renamed = [replace(d, name=n) for d, n in zip(worker.devices, names, strict=True)]
        workers.append(replace(worker, devices=tuple(renamed)))
    return tuple(workers)


def _ask_worker(address: str) -> Worker:
    if (reason := worker_problem([address])) is not None:
        return Worker(address, fault=reason)
    child = ChildProcess(_Client, timeout=WORKER_SECONDS).wait_ready()
    started = time.monotonic()
    try:
        return Worker(address, devices=tuple(child.call("devices", address)))
    except EngineLostError as exc:
        has_timed_out = time.monotonic() - started >= WORKER_SECONDS
        return Worker(address, fault=_fault(address, None if has_timed_out else exc.reason))
    except DeviceError as exc:
        return Worker(address, fault=str(exc))
    finally:
        child.kill()
        child.close()


class _Client:
    """Target of the child process, which may end with a worker."""

    def devices(self, address: str) -> list[Device]:
        return add_worker(address)


def _fault(address: str, reason: str | None) -> str:
    """Fault of a worker that accepts connections but fails; ``reason`` is None after a timeout."""
    if reason is None:
        return (
            f"the worker {address} does not answer; it may be busy: it serves one client at a time"
        )
    return (
        f"the worker {address} cannot be used ({reason}): does it have the same version of "
        "llama.cpp?"
    )
