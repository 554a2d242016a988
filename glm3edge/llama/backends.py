"""Backends of llama.cpp, its parts for sorts of devices, told by the names of their files."""

import importlib.util
import re
from pathlib import Path

_LIBRARY = re.compile(r"(?:lib)?ggml-([a-z]+)(?:-\w+)?\.(?:so|dylib|dll)")


def backends_in(folder: Path) -> tuple[str, ...]:
    """Those whose libraries are in the folder: ``cpu``, ``rpc``, ``cuda``, ``vulkan``..."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    matches = map(_LIBRARY.fullmatch, names)
    return tuple(sorted({match[1] for match in matches if match} - {"base"}))


def installed_backends() -> tuple[str, ...]:
    """Those that are installed, found without loading them, which may fail."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return ()
    return backends_in(Path(spec.origin).parent / "lib")
