"""Ways to change or damage a copy of a GGUF file."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf

SPACE_PREFIX = "tokenizer.ggml.add_space_prefix"
_UINT32, _BOOL = 4, 7  # GGUF's numbers of value types


def metadata(reader: gguf.GGUFReader) -> dict[str, Any]:
    """Metadata of a file, by key."""
    return {
        name: field.contents()
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.")
    }


def write_gguf(
    path: Path, values: Mapping[str, Any], tensors: Mapping[str, Any], *, types_of: gguf.GGUFReader
) -> None:
    """Write a file; metadata has the types that it has in ``types_of``."""
    writer = gguf.GGUFWriter(path, values["general.architecture"])
    for name, value in values.items():
        if name == "general.architecture":
            continue
        known = types_of.fields.get(name)
        types = known.types if known else value_types(value)
        writer.add_key_value(name, value, types[0], types[-1] if len(types) > 1 else None)
    for name, data in tensors.items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def value_types(value: Any) -> list[gguf.GGUFValueType]:
    """GGUF's types of a value, and of its elements if it is a list."""
    kind = gguf.GGUFValueType.get_type(value)
    return [kind, gguf.GGUFValueType.get_type(value[0])] if isinstance(value, list) else [kind]


def swap_tokens(path: Path, copy: Path, first: str, second: str) -> None:
    """Exchange two tokens of the same length."""
    data = path.read_bytes()
    old = [_string(text) for text in (first, second)]
    assert len(old[0]) == len(old[1])
    assert [data.count(text) for text in old] == [1, 1]
    places = [data.index(text) for text in old]
    changed = bytearray(data)
    for place, text in zip(places, reversed(old), strict=True):
        changed[place : place + len(text)] = text
    copy.write_bytes(changed)


def set_bool(path: Path, copy: Path, key: str, value: bool) -> None:
    """Set a metadata value that is true or false."""
    _set(path, copy, _string(key) + struct.pack("<I", _BOOL), struct.pack("<?", value))


def set_uint32(path: Path, copy: Path, key: str, value: int) -> None:
    """Set a metadata value that is a 32-bit number."""
    _set(path, copy, _string(key) + struct.pack("<I", _UINT32), struct.pack("<I", value))


def fill_tensor(path: Path, copy: Path, name: str, byte: int) -> None:
    """Overwrite a tensor's data with one byte, such as 255: not a number in f32."""
    (tensor,) = (t for t in gguf.GGUFReader(path).tensors if t.name == name)
    data = bytearray(path.read_bytes())
    start, length = int(tensor.data_offset), int(tensor.n_bytes)
    data[start : start + length] = bytes([byte]) * length
    copy.write_bytes(data)


def truncate(path: Path, copy: Path, num_bytes: int) -> None:
    """Cut bytes off the end."""
    copy.write_bytes(path.read_bytes()[:-num_bytes])


def _set(path: Path, copy: Path, before: bytes, value: bytes) -> None:
    data = path.read_bytes()
    assert data.count(before) == 1
    place = data.index(before) + len(before)
    copy.write_bytes(data[:place] + value + data[place + len(value) :])


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()
