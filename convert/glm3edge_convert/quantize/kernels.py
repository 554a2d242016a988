"""Kernels of our own for the types that ggml takes longest for; they give ggml's bytes.

``scripts/install.sh`` compiles them from kernels.c where there is a C compiler. Compilers round
differently on some processors, so each is compared with ggml before it is used; without them ggml
does everything, in up to ten times the time.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from glm3edge_convert.quantize.library import load_library
from glm3edge_convert.quantize.recipe import row_num_bytes

Kernel = Callable[[NDArray[np.float32], NDArray[np.uint8]], None]

KERNELS_PATH = Path(__file__).with_name("libkernels.so")
FUNCTION_NAMES = {
    GGMLQuantizationType.Q4_K: "quantize_q4_K",
    GGMLQuantizationType.Q5_K: "quantize_q5_K",
    GGMLQuantizationType.Q6_K: "quantize_q6_K",
    GGMLQuantizationType.Q8_0: "quantize_q8_0",
}
SAMPLE_SHAPE = (64, 512)


class _Ggml(ctypes.Structure):
    """``struct ggml`` of kernels.c."""

    _fields_ = (
        ("to_half", ctypes.c_void_p),
        ("from_half", ctypes.c_void_p),
        ("quantize_chunk", ctypes.c_void_p),
        ("type", ctypes.c_int),
    )


@cache
def find_kernel(tensor_type: GGMLQuantizationType) -> Kernel | None:
    """The kernel that writes rows in a type; None if ggml has to."""
    library = _load_kernels()
    name = FUNCTION_NAMES.get(tensor_type)
    if library is None or name is None:
        return None
    kernel = _bind(library[name], tensor_type)
    return kernel if _gives_ggml_bytes(kernel, tensor_type) else None


def widen_float16(values: NDArray[np.float16]) -> NDArray[np.float32]:
    """Values of one dimension as float32, exactly."""
    library = _load_kernels()
    if library is None:
        return values.astype(np.float32)
    out = np.empty(values.size, np.float32)
    pointer = ctypes.c_void_p
    library.widen_float16(
        pointer(values.ctypes.data), pointer(out.ctypes.data), ctypes.c_int64(values.size)
    )
    return out


@cache
def _load_kernels() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(os.fspath(KERNELS_PATH))
    except OSError:  # not compiled, or on another system
        return None


def _bind(function: Any, tensor_type: GGMLQuantizationType) -> Kernel:
    function.restype = None
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(_Ggml)]
    names = ("ggml_fp32_to_fp16", "ggml_fp16_to_fp32", "ggml_quantize_chunk")
    addresses = [ctypes.cast(load_library()[name], ctypes.c_void_p) for name in names]
    ggml = _Ggml(*addresses, tensor_type)

    def kernel(values: NDArray[np.float32], data: NDArray[np.uint8]) -> None:
        function(values.ctypes.data, data.ctypes.data, values.size, ggml)

    return kernel


def _gives_ggml_bytes(kernel: Kernel, tensor_type: GGMLQuantizationType) -> bool:
    values = np.random.default_rng(0).standard_normal(SAMPLE_SHAPE, np.float32)
    num_rows, row_size = SAMPLE_SHAPE
    ours, theirs = np.zeros((2, num_rows * row_num_bytes(tensor_type, row_size)), np.uint8)
    kernel(values, ours)
    load_library().ggml_quantize_chunk(
        tensor_type, values.ctypes.data, theirs.ctypes.data, 0, num_rows, row_size, None
    )
    return bool(np.array_equal(ours, theirs))
