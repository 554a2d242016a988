"""Which GPU backends llama.cpp was built with, and which of them have found a device."""

import ctypes

import llama_cpp.llama_cpp as native

_OTHERS = {"CPU", "BLAS", "RPC"}
"""Backends that are no GPU's. RPC's devices are other machines, each added by its address."""


def device_counts() -> dict[str, int]:
    """How many devices each backend has found, by llama.cpp's names: CPU, CUDA, Vulkan, MTL, RPC.

    The first call looks for devices, and starts their drivers.
    """
    # Not llama_cpp's own handle of ggml, which is a second copy with devices of its own.
    lib = native._lib
    lib.ggml_backend_reg_count.restype = ctypes.c_size_t
    lib.ggml_backend_reg_get.argtypes = [ctypes.c_size_t]
    lib.ggml_backend_reg_get.restype = ctypes.c_void_p
    lib.ggml_backend_reg_name.argtypes = [ctypes.c_void_p]
    lib.ggml_backend_reg_name.restype = ctypes.c_char_p
    lib.ggml_backend_reg_dev_count.argtypes = [ctypes.c_void_p]
    lib.ggml_backend_reg_dev_count.restype = ctypes.c_size_t
    backends = [lib.ggml_backend_reg_get(i) for i in range(lib.ggml_backend_reg_count())]
    return {
        lib.ggml_backend_reg_name(backend).decode(): lib.ggml_backend_reg_dev_count(backend)
        for backend in backends
    }


def gpu_backends() -> dict[str, int]:
    """Those of `device_counts` that are GPUs'."""
    return {name: count for name, count in device_counts().items() if name not in _OTHERS}
