"""examine: all facts about this machine, llama.cpp and the workers, gathered once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil

from glm3edge.commands.doctor.advice import Advice, gpu_advice, processor_advice, rpc_advice
from glm3edge.commands.doctor.gpus import Gpu, look_around
from glm3edge.commands.doctor.processor import (
    Processor,
    instruction_sets,
    read_processor,
    unused_sets,
)
from glm3edge.commands.doctor.speed import tokens_per_second
from glm3edge.errors import DeviceError, EngineLostError
from glm3edge.llama.build import Build, read_build
from glm3edge.llama.child_process import ChildProcess, run_in_child
from glm3edge.llama.devices import CPU, Device, add_worker, devices
from glm3edge.llama.workers import worker_problem
from glm3edge.placement.machine.bandwidth import read_bandwidth
from glm3edge.placement.machine.cores import num_compute_cores
from glm3edge.placement.machine.memory import SystemMemory, system_memory

_MEASURE_SECONDS = 0.3
WORKER_SECONDS = 10.0
"""How long a worker may take to tell its devices."""

_WORD_OF = {"CUDA": "cuda", "Vulkan": "vulkan", "MTL": "metal", "Metal": "metal"}


@dataclass(frozen=True, slots=True)
class Threads:
    """Processor cores: what the machine has, and what this process computes on by default."""

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
        """What to expect of ChatGLM3-6B in q4_k_m, one stream on the CPU."""
        return tokens_per_second(self.all_threads)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that was asked for: its devices, or why it has none to show."""

    address: str
    devices: tuple[Device, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found; ``unused_sets`` are instruction sets that llama.cpp was built without."""

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
    """Gather everything.

    Args:
        workers: addresses of those to ask for their devices.
        with_bandwidth: whether to measure how fast memory is read, for about a second.

    Raises:
        DeviceError: llama.cpp does not get as far as listing its devices.
    """
    try:
        build, found = run_in_child(_ask_llama)
    except EngineLostError as exc:
        raise DeviceError(
            f"llama.cpp ended while it looked for devices ({exc.reason}); it may have been built "
            "for another processor, or a GPU's driver may fail"
        ) from exc
    memory, threads, processor = system_memory(), _threads(), read_processor()
    around = look_around()
    unused = unused_sets(processor, build.features.get(CPU, {}))
    at_work = [(_WORD_OF.get(d.backend, d.backend), d.description) for d in found if d.is_offload]
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
        gpus=around.gpus,
        advice=(
            *gpu_advice(around, build.backends, at_work),
            *processor_advice(unused, build.backends),
            *rpc_advice(build.backends),
        ),
    )


def _ask_llama() -> tuple[Build, list[Device]]:
    """In a process of its own, which a GPU's driver or an unknown instruction may end."""
    return read_build(), devices()


def _with_free_memory(device: Device, memory: SystemMemory) -> Device:
    """llama.cpp takes all of the machine's memory for free."""
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
    """Each in a process of its own; devices are named as when all are used together."""
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
    apart = ChildProcess(_Client, timeout=WORKER_SECONDS).wait_ready()
    began = time.monotonic()
    try:
        return Worker(address, devices=tuple(apart.call("devices", address)))
    except EngineLostError as exc:
        is_late = time.monotonic() - began >= WORKER_SECONDS
        return Worker(address, fault=_fault(address, None if is_late else exc.reason))
    except DeviceError as exc:
        return Worker(address, fault=str(exc))
    finally:
        apart.kill()
        apart.close()


class _Client:
    """What the process does that may end with a worker."""

    def devices(self, address: str) -> list[Device]:
        return add_worker(address)


def _fault(address: str, reason: str | None) -> str:
    """Why a worker that takes connections has told nothing; None says that it kept silent."""
    if reason is None:
        return (
            f"the worker {address} does not answer; it may be busy: it serves one client at a time"
        )
    return f"the worker {address} cannot be used ({reason}): has it the same version of llama.cpp?"
