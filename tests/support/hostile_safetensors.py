"""Safetensors files that lie: another header before the same data."""

import json
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[..., Any]

_NUMBERS = [0, -1, 1, 2, 2**31, 2**62, 2**64, 10**30, 1.5, True, None, "1", float("nan")]
_DTYPES = ["F16", "BF16", "F32", "F64", "I64", "BOOL", "F8_E4M3", "x", "", 3, None]
_SHAPES = [[], [0], [-1], [2**62, 4], [1] * 70, ["1"], None, {}, [[1]]]


@st.composite
def hostile_safetensors(draw: Draw, valid: bytes) -> bytes:
    """Files near a valid one: other entries, another length of the header, other bytes, cut off."""
    (length,) = struct.unpack("<Q", valid[:8])
    header, data = json.loads(valid[8 : 8 + length]), valid[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    for change in draw(st.lists(st.sampled_from(["entry", "drop", "add", "swap"]), max_size=2)):
        name = draw(st.sampled_from(names))
        if change == "entry":
            key = draw(st.sampled_from(["dtype", "shape", "data_offsets"]))
            header[name] = {**header.get(name, {}), key: draw(_values(key))}
        elif change == "drop":
            header.pop(name, None)
        elif change == "add":
            entry = draw(st.sampled_from([header.get(name), 1, [], {}, None]))
            header["\x1b[2J\u202e" + draw(st.sampled_from(["", name]))] = entry
        else:
            other = draw(st.sampled_from(names))
            header[name], header[other] = header.get(other), header.get(name)
    text = json.dumps(header).encode()
    how = draw(st.sampled_from(["entries"] * 6 + ["header", "length", "bytes", "cut"]))
    if how == "header":
        deep = [b"[" * 100_000, b'{"a":' * 50_000]
        text = draw(st.sampled_from([*deep, b"{}", b"[]", b"\xff", b""]))
    sizes = [0, 2**31, 2**62, 2**64 - 1, max(len(text) - 1, 0)]
    size = draw(st.sampled_from(sizes)) if how == "length" else len(text)
    found = bytearray(struct.pack("<Q", size) + text + data)
    if how == "bytes":
        found[draw(st.integers(0, 7 + len(text)))] = draw(st.integers(0, 255))
    return bytes(found[: draw(st.integers(0, len(found)))] if how == "cut" else found)


def _values(key: str) -> st.SearchStrategy[Any]:
    if key == "dtype":
        return st.sampled_from(_DTYPES)
    numbers = st.lists(st.sampled_from(_NUMBERS), max_size=4)
    return numbers | st.sampled_from(_SHAPES) if key == "shape" else numbers
