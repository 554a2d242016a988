"""Safetensors files: headers are checked, rows read by offset, headers of new files written.

A file is an 8-byte little-endian header length, a JSON header ``{name: {dtype, shape,
data_offsets}}``, and the data (https://github.com/huggingface/safetensors#format). The
safetensors library hands bfloat16 to NumPy only through torch, and maps whole files into
memory; this module needs neither.
"""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from glm3edge_convert.errors import DamagedFileError, TensorValueError, UnreadableFileError
from glm3edge_convert.files import open_file
from glm3edge_convert.quantize.kernels import widen_float16

LENGTH_SIZE = 8
MAX_HEADER_SIZE = 100_000_000  # the library's own bound

DTYPE_SIZES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}


@dataclass(frozen=True)
class Entry:
    """Header entry of a tensor; ``start`` is its offset in bytes from the beginning of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * DTYPE_SIZES[self.dtype]


def read_entries(path: Path) -> list[Entry]:
    """The tensors of a file in the order of their data.

    Raises:
        DamagedFileError: the header is not valid, or tensors overlap, leave gaps or do not end
            exactly where the file ends (which is how a broken download shows).
        UnreadableFileError: the system does not let the file be read.
    """
    try:
        with open_file(path) as file:
            header, data_start = _read_header(path, file)
            num_file_bytes = file.seek(0, os.SEEK_END)
    except OSError as exc:
        raise UnreadableFileError(path, exc) from exc
    entries = [_entry(path, name, value, data_start) for name, value in header.items()]
    entries.sort(key=lambda entry: (entry.start, entry.num_bytes))
    _check_layout(path, entries, data_start, num_file_bytes)
    return entries


def _read_header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(file.read(LENGTH_SIZE), "little")
    if not 2 <= length <= MAX_HEADER_SIZE:
        raise DamagedFileError(path, f"is not a safetensors file (header of {length} bytes)")
    text = file.read(length)
    if len(text) < length:
        raise DamagedFileError(path, "is truncated within its header")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise DamagedFileError(path, "has a header that is not JSON") from exc
    if not isinstance(header, dict):
        raise DamagedFileError(path, "has a header that is not a JSON object")
    header.pop("__metadata__", None)
    return header, LENGTH_SIZE + length


def _entry(path: Path, name: str, value: object, data_start: int) -> Entry:
    """Parse a header value, and check its offsets against its dtype and shape."""
    match value:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            pass
        case _:
            raise DamagedFileError(path, f"has a malformed header for tensor {name}")
    if dtype not in DTYPE_SIZES or not all(type(size) is int and size >= 0 for size in shape):
        raise DamagedFileError(path, f"has a malformed dtype or shape for tensor {name}")
    entry = Entry(name, dtype, tuple(shape), data_start + begin)
    if begin < 0 or end - begin != entry.num_bytes:
        raise DamagedFileError(path, f"has offsets that do not fit the shape of tensor {name}")
    return entry


def _check_layout(path: Path, entries: list[Entry], data_start: int, num_file_bytes: int) -> None:
    end = data_start
    for entry in entries:
        if entry.start != end:
            raise DamagedFileError(path, f"has a gap or an overlap before tensor {entry.name}")
        end += entry.num_bytes
        if end > num_file_bytes:
            raise DamagedFileError(
                path, f"is truncated: tensor {entry.name} ends at byte {end} of {num_file_bytes}"
            )
    if end != num_file_bytes:
        raise DamagedFileError(path, f"has {num_file_bytes - end} bytes after its last tensor")


@dataclass(frozen=True)
class SafetensorsTensor:
    """A tensor in a safetensors file; see ``weights.SourceTensor``."""

    path: Path
    entry: Entry

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.entry.shape

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop), as float32."""
        row_shape = self.shape[1:]
        num_values = (stop - start) * math.prod(row_shape)
        skipped = start * math.prod(row_shape) * DTYPE_SIZES[self.entry.dtype]
        raw = self._read(num_values, self.entry.start + skipped)
        return _to_float32(raw).reshape(stop - start, *row_shape)

    def _read(self, num_values: int, offset: int) -> NDArray[np.generic]:
        # Plain reads, not a memory map: a map counts as resident memory, and a file that
        # shrinks under it kills the process.
        try:
            raw = np.fromfile(self.path, self._storage_dtype(), num_values, offset=offset)
        except OSError as exc:
            raise UnreadableFileError(self.path, exc) from exc
        if raw.size < num_values:
            raise DamagedFileError(self.path, f"is truncated: tensor {self.name} is cut short")
        return raw

    def _storage_dtype(self) -> np.dtype[np.generic]:
        match self.entry.dtype:
            case "F16":
                return np.dtype("<f2")
            case "BF16":
                return np.dtype("<u2")  # NumPy has no bfloat16
            case "F32":
                return np.dtype("<f4")
        raise TensorValueError(
            self.path,
            self.name,
            f"is stored as {self.entry.dtype}; use the float16, bfloat16 or float32 checkpoint",
        )


def _to_float32(raw: NDArray[np.generic]) -> NDArray[np.float32]:
    """Widen float16, float32 or bfloat16 (held as uint16: the upper half of a float32)."""
    if raw.dtype.kind == "u":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    if raw.dtype == np.float16:
        return widen_float16(raw.astype(np.float16, copy=False))
    return raw.astype(np.float32, copy=False)


def open_safetensors(path: Path) -> list[SafetensorsTensor]:
    """The tensors of one file; raises as ``read_entries`` does."""
    return [SafetensorsTensor(path, entry) for entry in read_entries(path)]


def write_header(file: BinaryIO, tensors: Iterable[tuple[str, str, tuple[int, ...]]]) -> None:
    """Write the header for (name, dtype, shape) tensors whose data will follow in that order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, dtype, shape in tensors:
        end = offset + math.prod(shape) * DTYPE_SIZES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_SIZE)
    file.write(len(text).to_bytes(LENGTH_SIZE, "little") + text)
