"""Quantization of float32 rows to any ggml type, in threads.

``ggml_quantize_chunk`` does the arithmetic, or a kernel of ours that gives the same bytes. ctypes
releases the GIL during a call, so threads quantize side by side.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from glm3edge_convert.errors import TensorValueError
from glm3edge_convert.models.output_tensors import OutputTensor
from glm3edge_convert.quantize.kernels import find_kernel
from glm3edge_convert.quantize.library import load_library
from glm3edge_convert.quantize.recipe import row_num_bytes

MAX_FLOAT16 = 65504.0
WIDE_TYPES = {GGMLQuantizationType.F32, GGMLQuantizationType.BF16}
SLAB_VALUES = 256 * 1024  # 1 MiB of float32, which a core's cache holds
SLABS_AHEAD = 16  # a thread's work for the time that the disk takes to store what was written


class Quantizer:
    """Pool of threads that quantizes tensors; a context manager."""

    def __init__(self, num_threads: int) -> None:
        self._num_slabs_ahead = SLABS_AHEAD * num_threads
        self._executor = ThreadPoolExecutor(num_threads, thread_name_prefix="quantize")

    def __enter__(self) -> "Quantizer":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def quantize(
        self,
        tensor: OutputTensor,
        tensor_type: GGMLQuantizationType,
        importances: NDArray[np.float32] | None = None,
    ) -> Iterator[NDArray[np.uint8]]:
        """Quantize a tensor, a slab of rows at a time.

        The next slabs are computed meanwhile, at most SLABS_AHEAD to a thread.

        Args:
            tensor: the tensor.
            tensor_type: the type to quantize to.
            importances: weights of rounding errors, one for each value of a row.

        Yields:
            The tensor's bytes, in order.

        Raises:
            TensorValueError: a value is not finite or too large for the type.
            CheckpointError: the tensor's data cannot be read.
            MissingLibraryError: llama-cpp-python is not installed.
        """
        load_library()
        slab_rows = max(1, SLAB_VALUES // tensor.row_size)
        pending: deque[Future[NDArray[np.uint8]]] = deque()
        for start in range(0, tensor.num_rows, slab_rows):
            stop = min(start + slab_rows, tensor.num_rows)
            task = self._executor.submit(
                _quantize_checked, tensor, tensor_type, start, stop, importances
            )
            pending.append(task)
            if len(pending) == self._num_slabs_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _quantize_checked(
    tensor: OutputTensor,
    tensor_type: GGMLQuantizationType,
    start: int,
    stop: int,
    importances: NDArray[np.float32] | None,
) -> NDArray[np.uint8]:
    values = tensor.rows(start, stop)
    problem = find_problem(values, tensor_type)
    if problem:
        raise TensorValueError(tensor.source.path, tensor.source.name, problem)
    return quantize_rows(values, tensor_type, importances)


def find_problem(values: NDArray[np.float32], tensor_type: GGMLQuantizationType) -> str | None:
    """The reason why ``values`` cannot be stored as ``tensor_type``, or None.

    float16, which is also the type of the quantized types' scales, ends at 65504.
    """
    largest = np.maximum(values.max(initial=0.0), -values.min(initial=0.0))
    if not np.isfinite(largest):
        return "has values that are not finite (NaN or infinity); the weights are damaged"
    if largest > MAX_FLOAT16 and tensor_type not in WIDE_TYPES:
        return f"has values too large for {tensor_type.name}; choose --type bf16 or f32"
    return None


def quantize_rows(
    values: NDArray[np.float32],
    tensor_type: GGMLQuantizationType,
    importances: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """The bytes of ``values``, which are of shape (rows, row length), in another type."""
    num_rows, row_size = values.shape
    values = np.ascontiguousarray(values)
    data = np.empty(num_rows * row_num_bytes(tensor_type, row_size), np.uint8)
    if importances is None and (kernel := find_kernel(tensor_type)):
        kernel(values, data)
        return data
    load_library().ggml_quantize_chunk(
        tensor_type,
        values.ctypes.data,
        data.ctypes.data,
        0,
        num_rows,
        row_size,
        None if importances is None else importances.ctypes.data,
    )
    return data
