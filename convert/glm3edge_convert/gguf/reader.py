"""Header of a GGUF file, read within bounds: metadata, and where each tensor lies.

A file may say anything of itself, and readers that believe it hang, abort or fill the memory. Here
lengths and counts are held against the file's size and against bounds that no model comes near.
The format is that of github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

import math
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType
from numpy.typing import NDArray

from glm3edge_convert.downloads import download_problem
from glm3edge_convert.errors import GgufError
from glm3edge_convert.files import open_file, read_head
from glm3edge_convert.gguf.header import ALIGNMENT
from glm3edge_convert.printable import one_line

MAX_ARRAY = 8
"""Longest metadata array that is kept whole; a vocabulary has tens of thousands of elements."""

MAX_HEADER_BYTES = 256 * 2**20
MAX_VALUES = MAX_TENSORS = 2**16
MAX_TEXTS = 2**20  # in all arrays together: a large vocabulary and its merges have 3/4 of it
MAX_KEY_BYTES = 2**16 - 1
MAX_NAME_BYTES = 63  # ggml's GGML_MAX_NAME, without the zero at the end
MAX_DIMENSIONS = 4
MAX_ALIGNMENT = 2**20

_MAGIC = b"GGUF"
_CONVERT = "convert the checkpoint that it was made from: glm3edge convert FOLDER"
_OLD = f"is in a format that llama.cpp replaced with GGUF in 2023; {_CONVERT}"
_OTHER_MAGICS = {
    b"ggml": f"is in chatglm.cpp's own format, which only that program reads; {_CONVERT}",
    b"lmgg": _OLD,
    b"fmgg": _OLD,
    b"tjgg": _OLD,
}
_FORMER_TYPES = {  # numbers that no tensor has any more, of files from before 2025
    4: "Q4_2",
    5: "Q4_3",
    31: "Q4_0_4_4",
    32: "Q4_0_4_8",
    33: "Q4_0_8_8",
    36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
}
_ZIP_MAGIC = b"PK\x03\x04"
_HEAD_BYTES = 10  # safetensors begin with the length of their header, in eight
_MAX_DETAIL = 200  # characters of what an error quotes
_VERSIONS = (2, 3)
_NUMBERS = {
    GGUFValueType.UINT8: "B",
    GGUFValueType.INT8: "b",
    GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h",
    GGUFValueType.UINT32: "I",
    GGUFValueType.INT32: "i",
    GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q",
    GGUFValueType.FLOAT32: "f",
    GGUFValueType.FLOAT64: "d",
    GGUFValueType.BOOL: "?",
}
_FLOATS = {GGMLQuantizationType.F32: np.float32, GGMLQuantizationType.F16: np.float16}


@dataclass(frozen=True, slots=True)
class LongArray:
    """The beginning of a metadata array of more than MAX_ARRAY elements."""

    first: tuple[Any, ...]
    length: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of a file; ``shape`` is (rows, row length) or (length,), ``start`` in bytes."""

    name: str
    type: GGMLQuantizationType
    shape: tuple[int, ...]
    start: int
    num_bytes: int


@dataclass(frozen=True)
class GgufHeader:
    """Header of a GGUF file whose data is all there.

    Attributes:
        path: the file.
        num_bytes: its size.
        metadata: values by key. Texts that are not UTF-8 have surrogates in their place.
        types: types of the values, of an array those of its elements.
        tensors: the tensors by name, in the file's order.
    """

    path: Path
    num_bytes: int
    metadata: Mapping[str, Any]
    types: Mapping[str, GGUFValueType]
    tensors: Mapping[str, StoredTensor]

    def floats(self, name: str) -> NDArray[np.float32]:
        """Data of a float32 or float16 tensor, as float32.

        Raises:
            GgufError: it is of another type, or can no longer be read.
        """
        tensor = self.tensors[name]
        if tensor.type not in _FLOATS:
            reason = f"{name} is {tensor.type.name}, and only F32 and F16 are read here"
            raise GgufError(self.path, reason)
        dtype = np.dtype(_FLOATS[tensor.type]).newbyteorder("<")
        try:
            data = np.fromfile(self.path, dtype, math.prod(tensor.shape), offset=tensor.start)
            return data.reshape(tensor.shape).astype(np.float32)
        except (OSError, ValueError) as exc:
            raise GgufError(self.path, "it has gone or changed since it was opened") from exc


def read_header(path: Path, *, whole: Collection[str] = ()) -> GgufHeader:
    """Read a file's header.

    Args:
        path: the file.
        whole: keys of arrays that are kept whole, however long.

    Raises:
        GgufError: it cannot be read, is no GGUF file, is cut off, or contradicts itself.
    """
    try:
        with open_file(path) as file:
            num_bytes = file.seek(0, 2)
            file.seek(0)
            return _HeaderReader(path, file, num_bytes, whole).read()
    except PermissionError as exc:
        raise GgufError(path, f"{exc.strerror}; check its permissions") from exc
    except OSError as exc:
        raise GgufError(path, exc.strerror or str(exc)) from exc


class _HeaderReader:
    def __init__(self, path: Path, file: BinaryIO, num_bytes: int, whole: Collection[str]) -> None:
        self._path = path
        self._file = file
        self._num_bytes = num_bytes
        self._whole = whole
        self._num_left = min(num_bytes, MAX_HEADER_BYTES)
        self._num_texts = 0

    def read(self) -> GgufHeader:
        self._check_magic()
        self._check_version()
        num_tensors, num_values = self._number("Q"), self._number("Q")
        if num_tensors > MAX_TENSORS or num_values > MAX_VALUES:
            raise self._damaged(f"{num_tensors} tensors and {num_values} values")
        types: dict[str, GGUFValueType] = {}
        metadata: dict[str, Any] = {}
        for _ in range(num_values):
            key = self._text(MAX_KEY_BYTES)
            if not key or key in metadata:
                raise self._damaged(f"the key {key} appears twice" if key else "an empty key")
            types[key], metadata[key] = self._value(key)
        if (alignment := _alignment(metadata, types)) is None:
            raise self._damaged("its alignment is not a power of two")
        tensors = self._tensors(num_tensors, alignment)
        self._check_is_not_joined(tensors)
        return GgufHeader(self._path, self._num_bytes, metadata, types, tensors)

    def _check_magic(self) -> None:
        if (magic := self._file.read(len(_MAGIC))) != _MAGIC:
            problem = _OTHER_MAGICS.get(magic) or download_problem(self._path)
            problem = problem or _weights_problem(self._path)
            reason = "is not a GGUF file; give one, or a checkpoint folder"
            raise GgufError(self._path, f"it {problem or reason}")
        self._num_left -= len(_MAGIC)

    def _check_version(self) -> None:
        version = self._number("I")
        if version in _VERSIONS:
            return
        reason = (
            f"it is of GGUF version {version}, not 2 or 3; update glm3edge, or download it again"
        )
        if version < min(_VERSIONS):
            reason = f"it is of GGUF version {version}, of 2023; {_CONVERT}"
        elif int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS:
            reason = "it is big-endian; run gguf-convert-endian FILE little"
        raise GgufError(self._path, reason)

    def _value(self, key: str) -> tuple[GGUFValueType, Any]:
        kind = self._value_type(key)
        if kind is GGUFValueType.STRING:
            return kind, self._text(self._num_left)
        if kind is not GGUFValueType.ARRAY:
            return kind, self._number(_NUMBERS[kind])
        kind, length = self._value_type(key), self._number("Q")
        if kind is GGUFValueType.ARRAY:
            raise self._damaged(f"{key} is an array of arrays")
        num_kept = length if key in self._whole else min(length, MAX_ARRAY)
        items = self._texts if kind is GGUFValueType.STRING else self._numbers
        kept = items(kind, length, num_kept)
        return kind, kept if num_kept == length else LongArray(tuple(kept), length)

    def _texts(self, kind: GGUFValueType, length: int, num_kept: int) -> list[Any]:
        self._num_texts += length
        if self._num_texts > MAX_TEXTS:
            raise self._damaged(f"an array of {length} texts")
        kept = [self._text(self._num_left) for _ in range(num_kept)]
        for _ in range(length - num_kept):
            self._bytes(int.from_bytes(self._bytes(8), "little"))
        return kept

    def _numbers(self, kind: GGUFValueType, length: int, num_kept: int) -> list[Any]:
        code = _NUMBERS[kind]
        size = struct.calcsize(f"<{code}")
        self._check_left(length * size)
        kept = struct.unpack(f"<{num_kept}{code}", self._bytes(num_kept * size))
        num_skipped = (length - num_kept) * size
        self._num_left -= num_skipped
        self._file.seek(num_skipped, 1)
        return list(kept)

    def _tensors(self, number: int, alignment: int) -> dict[str, StoredTensor]:
        infos = [self._tensor_info() for _ in range(number)]
        at = min(self._num_bytes, MAX_HEADER_BYTES) - self._num_left
        start = end = at + -at % alignment
        tensors: dict[str, StoredTensor] = {}
        for name, kind, shape, offset in infos:
            block_size, block_bytes = GGML_QUANT_SIZES[kind]
            if name in tensors or offset != end - start + -(end - start) % alignment:
                raise self._damaged(f"tensor {name} overlaps another, or leaves a gap")
            num_bytes = math.prod(shape) // block_size * block_bytes
            tensors[name] = StoredTensor(name, kind, shape, start + offset, num_bytes)
            end = start + offset + num_bytes
        if tensors and end > self._num_bytes:
            found, expected = self._num_bytes / 2**20, end / 2**20
            reason = f"it is cut off: {found:,.1f} of {expected:,.1f} MiB are there"
            raise GgufError(self._path, f"{reason}; convert or download it again")
        return tensors

    def _check_is_not_joined(self, tensors: Mapping[str, StoredTensor]) -> None:
        """Refuse a file that another one follows, as where ``cat`` joined the parts of a model."""
        for tensor in list(tensors.values())[-1:]:
            self._file.seek(tensor.start + tensor.num_bytes)
            rest = self._file.read(ALIGNMENT + len(_MAGIC)).lstrip(b"\0")
            if rest.startswith(_MAGIC):
                problem = "its parts were joined byte by byte; keep them apart and give the first"
                raise GgufError(self._path, f"{problem}, or run llama-gguf-split --merge")

    def _tensor_info(self) -> tuple[str, GGMLQuantizationType, tuple[int, ...], int]:
        name, num_dimensions = self._text(MAX_NAME_BYTES), self._number("I")
        if num_dimensions > MAX_DIMENSIONS:
            raise self._damaged(f"tensor {name} has {num_dimensions} dimensions")
        shape = tuple(self._number("Q") for _ in range(num_dimensions))[::-1]
        number, offset = self._number("I"), self._number("Q")
        if former := _FORMER_TYPES.get(number):
            what = f"tensor {one_line(name)} is {former}, a type that llama.cpp no longer supports"
            raise GgufError(self._path, f"{what}; take a file of another type, such as Q4_0")
        try:
            kind = GGMLQuantizationType(number)
        except ValueError:
            raise self._damaged(f"tensor {name} is of type {number}") from None
        block_size, _ = GGML_QUANT_SIZES[kind]
        if not all(shape) or math.prod(shape[-1:]) % block_size:
            raise self._damaged(f"tensor {name} cannot have the shape {shape}")
        return name, kind, shape, offset

    def _value_type(self, key: str) -> GGUFValueType:
        number = self._number("I")
        try:
            return GGUFValueType(number)
        except ValueError:
            raise self._damaged(f"{key} is of type {number}") from None

    def _number(self, code: str) -> Any:
        (value,) = struct.unpack(f"<{code}", self._bytes(struct.calcsize(f"<{code}")))
        return value

    def _text(self, max_bytes: int) -> str:
        length = self._number("Q")
        if length > max_bytes:
            raise self._damaged(f"a text of {length} bytes")
        return self._bytes(length).decode("utf-8", "surrogateescape")

    def _bytes(self, number: int) -> bytes:
        self._check_left(number)
        self._num_left -= number
        data = self._file.read(number)
        if len(data) < number:  # the file got shorter
            raise self._damaged()
        return data

    def _check_left(self, number: int) -> None:
        if number > self._num_left:
            raise self._damaged()

    def _damaged(self, detail: str = "") -> GgufError:
        what = f" ({one_line(detail)[:_MAX_DETAIL]})" if detail else ""
        reason = f"it is damaged or cut off{what}; convert or download it again"
        return GgufError(self._path, reason)


def _weights_problem(path: Path) -> str | None:
    """The problem of a checkpoint's weights, as the end of a sentence; None of another file."""
    head = read_head(path, _HEAD_BYTES)
    if head.startswith(_ZIP_MAGIC) or head[8:] == b'{"':  # PyTorch's, or safetensors
        return f"holds weights of a checkpoint; give its folder, {path.parent}"
    return None


def _alignment(metadata: Mapping[str, Any], types: Mapping[str, GGUFValueType]) -> int | None:
    """Alignment of the tensors' data in bytes, None if it is none."""
    found = metadata.get("general.alignment", ALIGNMENT)
    if types.get("general.alignment", GGUFValueType.UINT32) is not GGUFValueType.UINT32:
        return None
    is_one = isinstance(found, int) and 0 < found <= MAX_ALIGNMENT and not found & (found - 1)
    return found if is_one else None
