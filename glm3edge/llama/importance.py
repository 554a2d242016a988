"""Importances of weight matrices: sums of squares of the activations they are multiplied with.

llama.cpp calls back for every operation of its graph; for matrix products with weights the squares
of the activations are summed by column, as llama.cpp's imatrix tool does.
"""

import ctypes
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
from numpy.typing import NDArray

from glm3edge.core import Span
from glm3edge.errors import DecodeError, ModelError
from glm3edge.llama.batch import Batch
from glm3edge.llama.handle import close_context, open_context
from glm3edge.llama.model import Model

_F32 = 0  # GGML_TYPE_F32
_PRODUCT = b"MUL_MAT"
_LEAST_ROWS = 16
"""Products with fewer rows are left out, as in llama.cpp's tool: they are not a prompt's."""


class _Tensor(ctypes.Structure):
    """ggml_tensor (ggml.h); ``_check_layout`` compares it with the library's."""


_Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(_Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
]


@dataclass(frozen=True, slots=True)
class Importances:
    """Importances of each matrix, by its tensor's name.

    Attributes:
        sums: sums of squares by column, float32.
        counts: how many tokens they are summed over.
    """

    sums: dict[str, NDArray[np.float32]]
    counts: dict[str, int]


def collect_importances(
    model: Model,
    chunks: Sequence[Sequence[int]],
    *,
    num_threads: int,
    on_chunk: Callable[[int], object] = lambda _number: None,
) -> Importances:
    """Collect importances over ``chunks`` of token ids, each computed as a text of its own.

    ``on_chunk`` is called after each with the number of those done.

    Raises:
        ModelError: llama.cpp could not make a context, or its tensors are not those of ggml.h.
        DecodeError: llama.cpp failed.
    """
    collector = _Collector()
    batch_size = max(map(len, chunks))
    handle = open_context(
        model,
        what="a context",
        size=batch_size,
        batch_size=batch_size,
        num_threads=num_threads,
        cb_eval=collector.callback,
        offload_kqv=False,  # activations are read where the processor has them
        op_offload=False,
    )
    batch = Batch(batch_size)
    try:
        memory = native.llama_get_memory(handle)
        for number, chunk in enumerate(chunks, start=1):
            native.llama_memory_clear(memory, True)
            # All positions are outputs: else the last layer computes a single one.
            batch.fill([Span(0, 0, chunk, wants_output=True)], hidden_states=True)
            code = native.llama_decode(handle, batch.native)
            if collector.error is not None:
                raise collector.error
            if code != 0:
                raise DecodeError(code)
            on_chunk(number)
    finally:
        batch.close()
        close_context(model, handle)
    sums = {name: total.astype(np.float32) for name, total in collector.sums.items()}
    return Importances(sums, collector.counts)


class _Collector:
    """Callback of llama.cpp's graph that sums up squares."""

    def __init__(self) -> None:
        self.sums: dict[str, NDArray[np.float64]] = {}
        self.counts: dict[str, int] = {}
        self.error: BaseException | None = None
        self.callback = native.ggml_backend_sched_eval_callback(self._on_eval)
        self._describe = native._lib.ggml_op_desc
        self._describe.restype, self._describe.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
        self._is_checked = False

    def _on_eval(self, address: int, is_asking: bool, _user_data: Any) -> bool:
        """Answer whether an operation is wanted; then take its activations."""
        try:
            tensor = _Tensor.from_address(address)
            if not self._is_checked:
                _check_layout(address, tensor)
                self._is_checked = True
            if is_asking:
                return self._describe(address) == _PRODUCT and _is_wanted(tensor)
            self._add(tensor.src[0].contents.name.decode(), tensor.src[1].contents)
        except BaseException as exc:  # an interrupt too: C would swallow it
            self.error = self.error or exc
            return False
        return True

    def _add(self, name: str, activations: _Tensor) -> None:
        num_columns, *sizes = activations.ne
        num_rows = math.prod(sizes)
        if activations.nb[1] != 4 * num_columns or not activations.data:
            raise ModelError(f"what {name} is multiplied with is not in one piece")
        vector = (ctypes.c_float * (num_columns * num_rows)).from_address(activations.data)
        values = np.frombuffer(vector, np.float32).reshape(num_rows, num_columns)
        squares = np.square(values, dtype=np.float64).sum(axis=0)
        if not np.isfinite(squares).all():
            raise ModelError(f"what {name} is multiplied with is not finite")
        self.sums[name] = self.sums.get(name, 0.0) + squares
        self.counts[name] = self.counts.get(name, 0) + num_rows


def _is_wanted(product: _Tensor) -> bool:
    weights, activations = product.src[0].contents, product.src[1].contents
    name: bytes = weights.name
    is_matrix = name.startswith(b"blk.") and name.endswith(b".weight")
    return is_matrix and bool(activations.ne[1] >= _LEAST_ROWS and activations.type == _F32)


def _check_layout(address: int, tensor: _Tensor) -> None:
    """Check where ggml has a tensor's name: if it is in its place, so is all before it."""
    name = native._lib.ggml_get_name
    name.restype, name.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    if name(address) != ctypes.addressof(tensor) + _Tensor.name.offset:
        raise ModelError("this llama-cpp-python has tensors of another layout: update glm3edge")
