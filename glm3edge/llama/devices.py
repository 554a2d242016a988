"""Devices that llama.cpp can compute on: the CPU, GPUs, and the devices of workers."""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from glm3edge.errors import DeviceError
from glm3edge.llama import ggml

CPU = "CPU"
"""llama.cpp's name of the CPU."""

_GPU_BACKENDS = {
    "ggml-cuda": "CUDA",
    "ggml-hip": "ROCm",
    "ggml-metal": "MTL",
    "ggml-musa": "MUSA",
    "ggml-sycl": "SYCL",
    "ggml-vulkan": "Vulkan",
}
"""Libraries of llama.cpp for GPUs, and the backend that their devices name."""


class DeviceKind(Enum):
    """Kind of a device: ggml_backend_dev_type (ggml-backend.h)."""

    CPU = 0
    GPU = 1
    INTEGRATED_GPU = 2
    ACCELERATOR = 3
    META = 4


@dataclass(frozen=True, slots=True)
class Device:
    """A device, as llama.cpp describes it.

    Attributes:
        name: such as ``CUDA0``, ``RPC0`` or ``CPU``; options name devices so.
        description: the product's name; of a worker's device, the worker's address.
        kind: a worker's devices all count as GPUs.
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
        """Whether layers can be offloaded to it."""
        return self.kind in {DeviceKind.GPU, DeviceKind.INTEGRATED_GPU}


def devices() -> list[Device]:
    """All devices in llama.cpp's order; workers' are among them after ``add_worker()``."""
    count = ggml.function("ggml_backend_dev_count")()
    return [_device(ggml.function("ggml_backend_dev_get")(index)) for index in range(count)]


def add_worker(address: str) -> list[Device]:
    """Add the devices of the worker at ``address`` (``host:port``) to ``devices()``; returns them.

    llama.cpp ends the process if the worker cannot be reached, has another version of the protocol,
    or is lost later: call this in a child process.

    Raises:
        DeviceError: this build has no RPC, or the worker offers nothing.
    """
    if not ggml.has_library("ggml-rpc"):
        raise DeviceError("llama.cpp was built without RPC: install with scripts/install.sh")
    backend = ggml.function("ggml_backend_rpc_add_server")(address.encode())
    if not backend:
        raise DeviceError(f"the worker {address} offers no devices")
    count = ggml.function("ggml_backend_reg_dev_count")(backend)
    get = ggml.function("ggml_backend_reg_dev_get")
    handles = [get(backend, index) for index in range(count)]
    added = [_device(handle) for handle in handles]
    known = {device.name for device in devices()}
    for device, handle in zip(added, handles, strict=True):
        if device.name not in known:
            ggml.function("ggml_backend_device_register")(handle)
    return added


def add_workers(addresses: Iterable[str]) -> list[Device]:
    """Add the devices of these workers, in their order; see ``add_worker()``."""
    return [device for address in addresses for device in add_worker(address)]


def gpu_backends() -> list[str]:
    """Backends for GPUs that llama.cpp was built with."""
    return [backend for library, backend in _GPU_BACKENDS.items() if ggml.has_library(library)]


def idle_backends(found: Iterable[Device]) -> list[str]:
    """Backends for GPUs that llama.cpp was built with and that have no device in ``found``."""
    used = {device.backend for device in found}
    return [backend for backend in gpu_backends() if backend not in used]


def handle_of(name: str) -> int:
    """llama.cpp's handle of a device by name.

    Raises:
        DeviceError: there is no such device.
    """
    handle: int | None = ggml.function("ggml_backend_dev_by_name")(name.encode())
    if not handle:
        names = ", ".join(device.name for device in devices())
        raise DeviceError(f"device {name} was not found; the devices are {names}")
    return handle


def _device(handle: int) -> Device:
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
