"""Build of llama.cpp: versions, backends, and the instruction sets they use."""

import ctypes
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import llama_cpp

from glm3edge.llama import ggml
from glm3edge.llama.backends import backends_in

_FOLDER = Path(llama_cpp.__file__).parent / "lib"


class _Feature(ctypes.Structure):
    """ggml_backend_feature (ggml-backend.h); a list of them ends with one that has no name."""

    _fields_ = (("name", ctypes.c_char_p), ("value", ctypes.c_char_p))


_GET_FEATURES = ctypes.CFUNCTYPE(ctypes.POINTER(_Feature), ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Build:
    """Versions and backends of the llama.cpp that is loaded.

    Attributes:
        binding: version of llama-cpp-python.
        ggml: version of llama.cpp's tensor library, and the commit it was built from.
        backends: names of those it has: ``cpu``, ``rpc``, ``cuda``, ``vulkan``, ``metal``.
        features: by backend, for those that report any: ``AVX2``, ``ARCHS`` and so on with their
            values; ``1`` only says that a feature is there.
    """

    binding: str
    ggml: str
    backends: tuple[str, ...]
    features: dict[str, dict[str, str]]


def read_build() -> Build:
    """The build of the llama.cpp that is loaded."""
    return Build(
        binding=llama_cpp.__version__,
        ggml=_version(),
        backends=backends_in(_FOLDER),
        features=dict(filter(lambda pair: pair[1], map(_features, _registered()))),
    )


def _version() -> str:
    words = []
    for name in ("ggml_version", "ggml_commit"):
        with suppress(AttributeError):  # older ones have no such function
            words.append(ggml.function(name)().decode())
    return " ".join(words) or "unknown"


def _registered() -> list[int]:
    count = ggml.function("ggml_backend_reg_count")()
    return [ggml.function("ggml_backend_reg_get")(index) for index in range(count)]


def _features(backend: int) -> tuple[str, dict[str, str]]:
    name = ggml.text("ggml_backend_reg_name", backend)
    address = ggml.function("ggml_backend_reg_get_proc_address")(
        backend, b"ggml_backend_get_features"
    )
    found: dict[str, str] = {}
    if address:
        feature = _GET_FEATURES(address)(backend)
        while feature[len(found)].name:
            entry = feature[len(found)]
            found[entry.name.decode()] = (entry.value or b"").decode()
    return name, found
