"""State of a sequence in the KV cache: reading and writing it, and how llama.cpp lays it out.

``llama_state_seq_get_data`` gives:

    u32 mark of the format, i32 sequence id, u32 streams (1), u32 cells
    for each cell: i32 position, u32 sequences (1), i32 sequence id
    u32 whether values are transposed, u32 layers
    keys, for each layer: i32 type, u64 bytes in a row, then a row for each cell
    values, the same; or transposed: i32 type, u32 bytes of a value, u32 width, then for each
        column the value of each cell

All is little-endian. It is no part of llama.cpp's interface and may change with its version, so
``unpack()`` checks that a state packs to the same bytes again.
"""

import struct
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
from numpy.typing import NDArray

from glm3edge.llama.pointers import byte_pointer

_DTYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2")}  # by ggml_type
_TYPES = {dtype: number for number, dtype in _DTYPES.items()}
_HEAD = struct.Struct("<IiII")
_CELL = struct.Struct("<iIi")
_DATA = struct.Struct("<II")
_ROWS = struct.Struct("<iQ")
_COLUMNS = struct.Struct("<iII")

Array = NDArray[Any]


@dataclass(frozen=True)
class State:
    """A sequence's keys and values, ``[num_layers, num_cells, width]`` each, at positions 0, 1, ...

    Keys are rotated by their positions. ``mark`` is llama.cpp's, of the format.
    """

    mark: int
    sequence_id: int
    keys: Array
    values: Array
    is_transposed: bool

    def pack(self) -> bytes:
        """The state as llama.cpp lays it out."""
        num_layers, num_cells, width = self.keys.shape
        parts = [_HEAD.pack(self.mark, self.sequence_id, 1, num_cells)]
        parts += [_CELL.pack(position, 1, self.sequence_id) for position in range(num_cells)]
        parts.append(_DATA.pack(self.is_transposed, num_layers))
        key_type, value_type = self.keys.dtype, self.values.dtype
        for keys in self.keys:
            parts += [_ROWS.pack(_TYPES[key_type], width * key_type.itemsize), keys.tobytes()]
        for values in self.values:
            if self.is_transposed:
                head = _COLUMNS.pack(_TYPES[value_type], value_type.itemsize, width)
                parts += [head, values.T.tobytes()]
            else:
                head = _ROWS.pack(_TYPES[value_type], width * value_type.itemsize)
                parts += [head, values.tobytes()]
        return b"".join(parts)


def read_state(context_handle: Any, sequence_id: int) -> bytearray:
    """State of a sequence of llama.cpp's context, as llama.cpp lays it out."""
    size = native.llama_state_seq_get_size(context_handle, sequence_id)
    state = bytearray(size)
    pointer = byte_pointer(np.frombuffer(state, np.uint8))
    written = native.llama_state_seq_get_data(context_handle, pointer, size, sequence_id)
    del state[written:]
    return state


def write_state(context_handle: Any, sequence_id: int, state: bytes | bytearray) -> bool:
    """Fill an empty sequence of llama.cpp's context with ``state``; False if it is refused."""
    data = np.frombuffer(state, np.uint8)
    pointer = byte_pointer(data)
    return bool(native.llama_state_seq_set_data(context_handle, pointer, len(data), sequence_id))


def unpack(data: bytes | bytearray, *, num_layers: int, width: int) -> State:
    """Parse the state of a sequence that begins at position 0.

    Raises:
        ValueError: it is not laid out as described above, or of another model.
    """
    reader = _Reader(data)
    mark, sequence_id, num_streams, num_cells = reader.take(_HEAD)
    reader.skip(num_cells * _CELL.size)
    is_transposed, num_found = reader.take(_DATA)
    if (num_streams, num_found) != (1, num_layers) or not num_cells:
        raise ValueError("its counts are others")
    keys = [reader.rows(num_cells, width) for _ in range(num_layers)]
    read = reader.columns if is_transposed else reader.rows
    values = [read(num_cells, width) for _ in range(num_layers)]
    state = State(mark, sequence_id, np.stack(keys), np.stack(values), bool(is_transposed))
    if state.pack() != data:
        raise ValueError("it has parts that are not known")
    return state


class _Reader:
    """Reader of a state's bytes, one part after the other."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self._offset = 0

    def take(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self._bytes(layout.size))

    def skip(self, count: int) -> None:
        self._bytes(count)

    def rows(self, num_cells: int, width: int) -> Array:
        type_number, row_size = self.take(_ROWS)
        dtype = self._dtype(type_number)
        if row_size != width * dtype.itemsize:
            raise ValueError(f"it has rows of {row_size} bytes")
        raw = self._bytes(num_cells * row_size)
        return np.frombuffer(raw, dtype).reshape(num_cells, width)

    def columns(self, num_cells: int, width: int) -> Array:
        type_number, value_size, num_columns = self.take(_COLUMNS)
        dtype = self._dtype(type_number)
        if (value_size, num_columns) != (dtype.itemsize, width):
            raise ValueError(f"it has {num_columns} columns of {value_size} bytes")
        raw = self._bytes(num_cells * width * value_size)
        columns: Array = np.frombuffer(raw, dtype).reshape(width, num_cells).T
        return columns

    def _dtype(self, type_number: int) -> np.dtype[Any]:
        if type_number not in _DTYPES:
            raise ValueError(f"its type {type_number} is neither f16 nor f32")
        return _DTYPES[type_number]

    def _bytes(self, count: int) -> bytes | bytearray:
        start, self._offset = self._offset, self._offset + count
        if self._offset > len(self._data):
            raise ValueError("it is shorter")
        return self._data[start : self._offset]
