"""Memory budgets of devices: the free memory that a model may take, less a margin."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from glm3edge.llama.devices import CPU, Device, DeviceKind
from glm3edge.placement.machine.memory import system_memory

MIN_GPU_MARGIN = 640 * 2**20
"""Memory that llama.cpp does not report: a driver's context, its kernels and its scratch memory,
531 MiB with CUDA 13 on an H100, measured. Besides, fragmented memory cannot be had in one piece."""

MIN_CPU_MARGIN = 256 * 2**20
"""Memory for this program itself, tokenizing and HTTP, and for other programs on the machine."""

MARGIN = 0.05
"""Margin as a part of the free memory, where that is more than the minimum."""

_METAL = "MTL"


@dataclass(frozen=True, slots=True)
class DeviceBudget:
    """Memory budget of a device.

    Attributes:
        device: its name.
        free: bytes that are free.
        margin: bytes of them that a model must leave free.
        shares_ram: whether it is the CPU's memory as well.
        is_fake: whether it is a fake device for a GPU that is not here. A real GPU takes more: the
            first one also computes large batches of layers that are left to the CPU, for which it
            copies one matrix at a time (ggml's op_offload). Workers do not do that.
    """

    device: str
    free: int
    margin: int = 0
    shares_ram: bool = False
    is_fake: bool = False

    @property
    def usable(self) -> int:
        """Bytes that a model may take."""
        return max(self.free - self.margin, 0)


def gpu_budget(
    device: str, free: int, *, shares_ram: bool = False, is_fake: bool = False
) -> DeviceBudget:
    """Budget of a device with ``free`` bytes, less the usual margin."""
    return DeviceBudget(device, free, max(MIN_GPU_MARGIN, int(MARGIN * free)), shares_ram, is_fake)


def cpu_budget(free: int | None = None) -> DeviceBudget:
    """The CPU's budget, of ``free`` bytes or of the memory that is available on this machine."""
    free = system_memory().available if free is None else free
    return DeviceBudget(CPU, free, max(MIN_CPU_MARGIN, int(MARGIN * free)))


def gpu_budgets(devices: Sequence[Device]) -> list[DeviceBudget]:
    """Budgets of those devices that layers can be offloaded to, in their order."""
    return [
        gpu_budget(device.name, device.memory_free, shares_ram=_shares_ram(device))
        for device in devices
        if device.is_offload
    ]


def _shares_ram(device: Device) -> bool:
    """Whether its memory is this machine's RAM: an integrated GPU, or a worker on this machine."""
    if device.kind is DeviceKind.INTEGRATED_GPU or device.backend.startswith(_METAL):
        return True
    host = device.description.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
