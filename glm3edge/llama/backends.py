"""Backends of llama.cpp (CPU, CUDA, Vulkan, RPC, ...), found by the names of their libraries."""

import importlib.util
import re
from pathlib import Path

_LIBRARY = re.compile(r"(?:lib)?ggml-([a-z]+)(?:-\w+)?\.(?:so|dylib|dll)")


def backends_in(folder: Path) -> tuple[str, ...]:
    """Names of the backends whose libraries are in a folder: ``cpu``, ``rpc``, ``cuda``, ..."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    matches = map(_LIBRARY.fullmatch, names)
    return tuple(sorted({match[1] for match in matches if match} - {"base"}))


def installed_backends() -> tuple[str, ...]:
    """Names of the backends that are installed; none is loaded, as that may fail."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return ()
    return backends_in(Path(spec.origin).parent / "lib")
