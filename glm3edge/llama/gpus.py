"""The parts of llama.cpp for GPUs: which it was built with, and which of them have found one."""

from collections.abc import Iterable

from glm3edge.llama import ggml
from glm3edge.llama.devices import Device

_BACKENDS = {
    "ggml-cuda": "CUDA",
    "ggml-hip": "ROCm",
    "ggml-metal": "MTL",
    "ggml-musa": "MUSA",
    "ggml-sycl": "SYCL",
    "ggml-vulkan": "Vulkan",
}
"""Libraries, and what their devices name as their backend."""


def gpu_backends() -> list[str]:
    """Those that llama.cpp was built with."""
    return [backend for library, backend in _BACKENDS.items() if ggml.has_library(library)]


def idle_backends(found: Iterable[Device]) -> list[str]:
    """Those that llama.cpp was built with and that none of the devices ``found`` belongs to."""
    at_work = {device.backend for device in found}
    return [backend for backend in gpu_backends() if backend not in at_work]
