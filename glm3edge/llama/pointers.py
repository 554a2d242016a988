"""Pointers to arrays and arrays over pointers, for calls of C functions.

``ctypes.cast`` and ``np.ctypeslib.as_array`` make a reference cycle of the object they are given,
which stays in memory until the garbage collector finds it, however large it is. These do not.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray


def byte_pointer(data: NDArray[np.uint8]) -> Any:
    """A ``uint8_t *`` to the first byte of ``data``, which the caller keeps alive."""
    return ctypes.byref(ctypes.c_uint8.from_address(data.ctypes.data))


def floats_at(pointer: Any, vector_type: Any) -> NDArray[np.float32]:
    """A vector over the memory of a ``float *``; nothing is copied.

    ``vector_type`` is ``ctypes.c_float * length``, which takes a while to make.
    """
    vector = vector_type.from_address(ctypes.addressof(pointer.contents))
    floats: NDArray[np.float32] = np.frombuffer(vector, np.float32)
    return floats
