"""libggml-base of llama.cpp, which llama-cpp-python installs.

It is opened by path, because importing llama_cpp would load a whole runtime. ggml_quantize_free is
never called: the tables of some types are the library's, and another user of it in this process
may need them.
"""

import ctypes
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path

from glm3edge_convert.errors import MissingLibraryError

LIBRARY_NAMES = {"win32": "ggml-base.dll", "darwin": "libggml-base.dylib"}
DEFAULT_LIBRARY_NAME = "libggml-base.so"


@cache
def load_library() -> ctypes.CDLL:
    """libggml-base with the signatures of ggml.h.

    Raises:
        MissingLibraryError: llama-cpp-python is not installed, or its library cannot be loaded.
    """
    name = LIBRARY_NAMES.get(sys.platform, DEFAULT_LIBRARY_NAME)
    spec = importlib.util.find_spec("llama_cpp")
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    paths = [path for folder in folders if (path := folder / "lib" / name).is_file()]
    if not paths:
        raise MissingLibraryError(name, "to quantize", "pip install llama-cpp-python")
    try:
        library = ctypes.CDLL(os.fspath(paths[0]))
    except OSError as exc:
        raise MissingLibraryError(
            name, "to quantize", "pip install --force-reinstall llama-cpp-python"
        ) from exc
    _declare(library)
    return library


def _declare(library: ctypes.CDLL) -> None:
    pointer, int64 = ctypes.c_void_p, ctypes.c_int64
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, pointer, pointer, int64, int64, int64, pointer
    ]  # fmt: skip
