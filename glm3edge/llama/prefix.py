"""P-Tuning v2 prefixes: trained keys and values that a sequence begins with.

The official code puts a prefix's keys before those of the prompt after they were rotated, at no
position; the prompt has the positions 0, 1, ... . llama.cpp needs consecutive positions, so here
the prefix has 0 to P-1 and the prompt begins at P: its queries and keys are rotated by P too much.
That changes nothing between them, nor between them and the prefix, whose keys are rotated by P too.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from glm3edge.errors import ModelLoadError
from glm3edge.llama.adapter import apply_none
from glm3edge.llama.gguf_file import read_gguf
from glm3edge.llama.kv_state import State
from glm3edge.llama.model import Model
from glm3edge.llama.model_checks import CHAT_ARCHITECTURE
from glm3edge_convert.errors import GgufError
from glm3edge_convert.gguf.reader import GgufHeader, StoredTensor

_KIND_KEY, _ADAPTER_TYPE = "adapter.type", "prefix"
_MAX_F16 = float(np.finfo(np.float16).max)
_REMEDY = "convert it with glm3edge convert-prefix"


class Prefix:
    """A P-Tuning v2 prefix of a model, from a file of ``glm3edge convert-prefix``.

    Attributes:
        path: the file.
        length: number of keys and values in each layer.
    """

    def __init__(self, model: Model, path: Path) -> None:
        """Load ``path``.

        Raises:
            ModelLoadError: no such file, no prefix, or one of another model.
            ResourceClosedError: the model is closed.
        """
        self.path = path
        shape = (model.num_layers, model.num_groups, model.head_size)
        keys, values = _read(path, shape)
        self.length = keys.shape[1]
        keys = _rotated(keys, self.length, size=model.rope_size, base=model.rope_base)
        if max(np.abs(keys).max(), np.abs(values).max()) > _MAX_F16:
            raise ModelLoadError(path, "it has values that f16 does not hold")
        flat = (model.num_layers, self.length, model.key_value_length)
        self._keys, self._values = keys.reshape(flat), values.reshape(flat)

    @property
    def fingerprint(self) -> str:
        """Digest of the whole file, other than that of an adapter."""
        data = b"prefix" + self.path.read_bytes()
        return hashlib.blake2b(data, digest_size=16).hexdigest()

    def apply(self, context: Any) -> None:
        """Make llama.cpp's ``context`` compute with the model alone, as a prefix needs."""
        apply_none(context)

    def state(self, like: State, sequence_id: int) -> State:
        """The prefix as the state of a sequence, in the types and layout of the state ``like``."""
        return State(
            like.mark,
            sequence_id,
            self._keys.astype(like.keys.dtype),
            self._values.astype(like.values.dtype),
            like.is_transposed,
        )


def _read(path: Path, shape: tuple[int, int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Keys and values of a file, float32, ``[num_layers, length, num_groups, head_size]``."""
    num_layers, *row_shape = shape
    header = read_gguf(path)
    architecture, kind = (header.metadata.get(key) for key in ("general.architecture", _KIND_KEY))
    if kind != _ADAPTER_TYPE:
        remedy = "give it with --lora" if kind == "lora" else _REMEDY
        raise ModelLoadError(path, f"it is not a P-Tuning v2 prefix; {remedy}")
    if architecture != CHAT_ARCHITECTURE:
        raise ModelLoadError(path, "it is not of ChatGLM3")
    tensors = header.tensors
    names = [f"blk.{layer}.prefix_{kind}" for layer in range(num_layers) for kind in "kv"]
    if len(tensors) != len(names):
        raise ModelLoadError(
            path,
            f"it has {len(tensors) // 2} layers and the model {num_layers}; it is another model's",
        )
    missing = [name for name in names if name not in tensors]
    if missing:
        raise ModelLoadError(path, f"it has no {missing[0]}; {_REMEDY}")
    length = tensors[names[0]].shape[0] if tensors[names[0]].shape else 0
    found = [_values(header, tensors[name], (length, *row_shape)) for name in names]
    return np.stack(found[::2]), np.stack(found[1::2])


def _values(
    header: GgufHeader, tensor: StoredTensor, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    if tensor.type is not GGMLQuantizationType.F32 or tensor.shape != shape:
        raise ModelLoadError(
            header.path,
            f"{tensor.name} is {tensor.type.name} of {tensor.shape} where the model has "
            f"{shape[1:]} F32 values to a place; it is another model's",
        )
    try:
        values = header.floats(tensor.name)
    except GgufError as exc:
        raise ModelLoadError(header.path, exc.reason) from exc
    if not np.isfinite(values).all():
        raise ModelLoadError(header.path, f"{tensor.name} has NaN or infinity; {_REMEDY}")
    return values


def _rotated(keys: NDArray[Any], position: int, *, size: int, base: float) -> NDArray[Any]:
    """``keys`` rotated as those at ``position``: the first ``size`` values, in adjacent pairs."""
    angles = position / base ** (np.arange(0, size, 2) / size)
    cos, sin = np.cos(angles), np.sin(angles)
    even, odd = keys[..., 0:size:2], keys[..., 1:size:2]
    out: NDArray[Any] = keys.copy()
    out[..., 0:size:2] = even * cos - odd * sin
    out[..., 1:size:2] = even * sin + odd * cos
    return out
