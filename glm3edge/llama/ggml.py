"""Functions of ggml for devices and GGUF files, which llama-cpp-python does not bind.

Signatures are those of ggml-backend.h, ggml-rpc.h and gguf.h. Handles are addresses; 0 is
none.
"""

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as native
from llama_cpp._ctypes_extensions import load_shared_library

from glm3edge.llama import library

_FOLDER = Path(llama_cpp.__file__).parent / "lib"
_SIZE = ctypes.c_size_t
_SIZE_OUT = ctypes.POINTER(ctypes.c_size_t)
_HANDLE = ctypes.c_void_p
_TEXT = ctypes.c_char_p


class _GgufInitParams(ctypes.Structure):
    """gguf_init_params (gguf.h): read no data."""

    _fields_ = (("no_alloc", ctypes.c_bool), ("context", _HANDLE))


METADATA_ONLY = _GgufInitParams(no_alloc=True)
"""Parameters of ``gguf_init_from_file`` that read no tensor data."""

_SIGNATURES: dict[str, tuple[str, Any, list[Any]]] = {
    "ggml_version": ("ggml-base", _TEXT, []),
    "ggml_commit": ("ggml-base", _TEXT, []),
    "ggml_backend_reg_count": ("ggml", _SIZE, []),
    "ggml_backend_reg_get": ("ggml", _HANDLE, [_SIZE]),
    "ggml_backend_dev_count": ("ggml", _SIZE, []),
    "ggml_backend_dev_get": ("ggml", _HANDLE, [_SIZE]),
    "ggml_backend_dev_by_name": ("ggml", _HANDLE, [_TEXT]),
    "ggml_backend_device_register": ("ggml", None, [_HANDLE]),
    "ggml_backend_reg_name": ("ggml-base", _TEXT, [_HANDLE]),
    "ggml_backend_reg_dev_count": ("ggml-base", _SIZE, [_HANDLE]),
    "ggml_backend_reg_dev_get": ("ggml-base", _HANDLE, [_HANDLE, _SIZE]),
    "ggml_backend_reg_get_proc_address": ("ggml-base", _HANDLE, [_HANDLE, _TEXT]),
    "ggml_backend_dev_name": ("ggml-base", _TEXT, [_HANDLE]),
    "ggml_backend_dev_description": ("ggml-base", _TEXT, [_HANDLE]),
    "ggml_backend_dev_type": ("ggml-base", ctypes.c_int, [_HANDLE]),
    "ggml_backend_dev_memory": ("ggml-base", None, [_HANDLE, _SIZE_OUT, _SIZE_OUT]),
    "ggml_backend_dev_backend_reg": ("ggml-base", _HANDLE, [_HANDLE]),
    "ggml_backend_dev_buffer_type": ("ggml-base", _HANDLE, [_HANDLE]),
    "ggml_backend_buft_name": ("ggml-base", _TEXT, [_HANDLE]),
    "ggml_backend_buft_is_host": ("ggml-base", ctypes.c_bool, [_HANDLE]),
    "ggml_backend_buft_get_device": ("ggml-base", _HANDLE, [_HANDLE]),
    "gguf_init_from_file": ("ggml-base", _HANDLE, [_TEXT, _GgufInitParams]),
    "gguf_free": ("ggml-base", None, [_HANDLE]),
    "gguf_set_val_u32": ("ggml-base", None, [_HANDLE, _TEXT, ctypes.c_uint32]),
    "gguf_set_arr_data": ("ggml-base", None, [_HANDLE, _TEXT, ctypes.c_int, _HANDLE, _SIZE]),
    "gguf_set_arr_str": ("ggml-base", None, [_HANDLE, _TEXT, ctypes.POINTER(_TEXT), _SIZE]),
    "ggml_backend_rpc_add_server": ("ggml-rpc", _HANDLE, [_TEXT]),
    "ggml_backend_rpc_start_server": (
        "ggml-rpc",
        None,
        [_TEXT, _TEXT, _SIZE, _SIZE, ctypes.POINTER(_HANDLE)],
    ),
}


def has_library(name: str) -> bool:
    """Whether llama.cpp was built with the library ``name``, such as ``ggml-rpc``."""
    return any(_FOLDER.glob(f"*{name}.*"))


@cache
def function(name: str) -> Any:
    """A function of ggml with its signature set.

    It is looked up through llama.cpp, in the very libraries that this uses: wheels have copies of
    them under other names, with registries of their own.

    Raises:
        AttributeError: llama.cpp was built without the library it is in.
        FileNotFoundError: the same, on Windows.
    """
    library.start()
    part, result, arguments = _SIGNATURES[name]
    loaded: Any = native._lib
    if os.name == "nt":  # looks into no library but the one that is named
        loaded = load_shared_library(part, _FOLDER)
    found = getattr(loaded, name)
    found.restype, found.argtypes = result, arguments
    return found


def text(name: str, handle: int) -> str:
    """Result of a function that returns a text for ``handle``."""
    data: bytes | None = function(name)(handle)
    return (data or b"").decode("utf-8", errors="replace")
