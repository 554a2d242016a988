"""DeviceBudget: what memory a device has for a model, and how much of it is better left alone."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from glm3edge.llama.devices import CPU, Device, DeviceKind
from glm3edge.placement.machine.memory import system_memory

MIN_GPU_MARGIN = 640 * 2**20
"""A driver's context, its kernels and its scratch memory are in nobody's account: 531 MiB with CUDA
13 on an H100, measured. What is fragmented cannot be had in one piece."""

MIN_CPU_MARGIN = 256 * 2**20
"""The program itself, tokenizing and HTTP; other programs on the machine go on working."""

MARGIN = 0.05
"""Part of the memory that is free, where that is more than the least margin."""

_METAL = "MTL"


@dataclass(frozen=True, slots=True)
class DeviceBudget:
    """Memory of a device.

    Attributes:
        device: its name.
        free: bytes that nobody uses.
        margin: bytes of them that are left alone.
        shares_ram: whether they are the CPU's as well.
        is_described: it is a GPU that is not here (see ``stand_in``). A real one takes more: large
            batches of layers that are left to the CPU are computed by the first GPU too, which
            copies one matrix at a time for it (ggml's op_offload). Workers do not do that.
    """

    device: str
    free: int
    margin: int = 0
    shares_ram: bool = False
    is_described: bool = False

    @property
    def usable(self) -> int:
        """Bytes that a model may take."""
        return max(self.free - self.margin, 0)


def gpu_budget(
    device: str, free: int, *, shares_ram: bool = False, is_described: bool = False
) -> DeviceBudget:
    """The room of a device with ``free`` bytes, with the usual margin."""
    return DeviceBudget(
        device, free, max(MIN_GPU_MARGIN, int(MARGIN * free)), shares_ram, is_described
    )


def cpu_budget(free: int | None = None) -> DeviceBudget:
    """The CPU's room: of ``free`` bytes, or of what this machine has available now."""
    free = system_memory().available if free is None else free
    return DeviceBudget(CPU, free, max(MIN_CPU_MARGIN, int(MARGIN * free)))


def gpu_budgets(devices: Sequence[Device]) -> list[DeviceBudget]:
    """The budgets of those of the devices that layers can be moved to, in their order."""
    return [
        gpu_budget(device.name, device.memory_free, shares_ram=_shares_ram(device))
        for device in devices
        if device.is_offload
    ]


def _shares_ram(device: Device) -> bool:
    """Whether its memory is this machine's: inside a processor, or a worker on this machine."""
    if device.kind is DeviceKind.INTEGRATED_GPU or device.backend.startswith(_METAL):
        return True
    host = device.description.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
