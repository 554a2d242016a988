"""Devices that llama.cpp can compute on: processors, GPUs, and those of workers elsewhere."""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from glm3edge.errors import DeviceError
from glm3edge.llama import ggml

CPU = "CPU"
"""What llama.cpp calls the processor."""


class DeviceKind(Enum):
    """ggml_backend_dev_type (ggml-backend.h)."""

    CPU = 0
    GPU = 1
    INTEGRATED_GPU = 2
    ACCELERATOR = 3
    META = 4


@dataclass(frozen=True, slots=True)
class Device:
    """What llama.cpp says of a device.

    Attributes:
        name: such as ``CUDA0``, ``RPC0`` or ``CPU``; options name devices so.
        description: the product's name; of a worker's device, the worker's address.
        kind: what sort of thing it is; a worker's devices all count as GPUs.
        backend: the part of llama.cpp that drives it.
        memory_free: bytes, at the time of asking.
        memory_total: bytes.
    """

    name: str
    description: str
    kind: DeviceKind
    backend: str
    memory_free: int
    memory_total: int

    @property
    def is_offload(self) -> bool:
        """Whether layers can be moved to it."""
        return self.kind in {DeviceKind.GPU, DeviceKind.INTEGRATED_GPU}


def devices() -> list[Device]:
    """All that llama.cpp has, in its order; workers' once ``add_worker()`` has added them."""
    count = ggml.function("ggml_backend_dev_count")()
    return [_read(ggml.function("ggml_backend_dev_get")(index)) for index in range(count)]


def add_worker(address: str) -> list[Device]:
    """The devices of the worker at ``address`` (``host:port``), from now on among ``devices()``.

    llama.cpp ends the process if the worker cannot be reached, speaks another version of the
    protocol, or goes away later: call this in a process that may end.

    Raises:
        DeviceError: this build has no RPC, or the worker offers nothing.
    """
    if not ggml.has_library("ggml-rpc"):
        raise DeviceError("llama.cpp was built without RPC: install with scripts/install.sh")
    backend = ggml.function("ggml_backend_rpc_add_server")(address.encode())
    if not backend:
        raise DeviceError(f"the worker {address} offers no device")
    count = ggml.function("ggml_backend_reg_dev_count")(backend)
    get = ggml.function("ggml_backend_reg_dev_get")
    handles = [get(backend, index) for index in range(count)]
    added = [_read(handle) for handle in handles]
    known = {device.name for device in devices()}
    for device, handle in zip(added, handles, strict=True):
        if device.name not in known:
            ggml.function("ggml_backend_device_register")(handle)
    return added


def add_workers(addresses: Iterable[str]) -> list[Device]:
    """The devices of all these workers, in their order; see ``add_worker()``."""
    return [device for address in addresses for device in add_worker(address)]


def handle_of(name: str) -> int:
    """llama.cpp's handle of the device called ``name``.

    Raises:
        DeviceError: there is none.
    """
    handle: int | None = ggml.function("ggml_backend_dev_by_name")(name.encode())
    if not handle:
        names = ", ".join(device.name for device in devices())
        raise DeviceError(f"there is no device {name} here, only {names}")
    return handle


def _read(handle: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml.function("ggml_backend_dev_memory")(handle, ctypes.byref(free), ctypes.byref(total))
    return Device(
        name=ggml.text("ggml_backend_dev_name", handle),
        description=ggml.text("ggml_backend_dev_description", handle),
        kind=DeviceKind(ggml.function("ggml_backend_dev_type")(handle)),
        backend=ggml.text(
            "ggml_backend_reg_name", ggml.function("ggml_backend_dev_backend_reg")(handle)
        ),
        memory_free=free.value,
        memory_total=total.value,
    )
