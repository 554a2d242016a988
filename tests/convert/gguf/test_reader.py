"""Headers of GGUF files: what other readers find, and what lies are refused at once."""

import os
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from glm3edge_convert.errors import GgufError
from glm3edge_convert.gguf.reader import MAX_TEXTS, LongArray, read_header

KEY, UINT32, FLOAT32, STRING, ARRAY, UINT64 = b"a.key", 4, 6, 8, 9, 10


def text(data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(data) if length is None else length) + data


def file(
    *values: bytes, num_values: int | None = None, tensors: bytes = b"", count: int = 0
) -> bytes:
    number = len(values) if num_values is None else num_values
    return b"GGUF" + struct.pack("<IQQ", 3, count, number) + b"".join(values) + tensors


def value(kind: int, data: bytes, key: bytes = KEY) -> bytes:
    return text(key) + struct.pack("<I", kind) + data


def array(kind: int, length: int, data: bytes = b"") -> bytes:
    return value(ARRAY, struct.pack("<IQ", kind, length) + data)


def tensor(
    name: bytes = b"t", shape: tuple[int, ...] = (8,), kind: int = 0, offset: int = 0
) -> bytes:
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + sizes + struct.pack("<IQ", kind, offset)


def with_tensors(*tensors: bytes, num_bytes: int = 4096) -> bytes:
    return file(tensors=b"".join(tensors), count=len(tensors)) + bytes(num_bytes)


ALIGNMENT = b"general.alignment"
LIES: dict[str, tuple[bytes, str]] = {
    "an array's head": (file(text(b"a") + struct.pack("<II", ARRAY, STRING)), "damaged"),
    "array of arrays": (file(array(ARRAY, 1, array(UINT32, 0))), "a.key is an array of arrays"),
    "long text": (file(value(STRING, text(b"", 2**62))), f"a text of {2**62} bytes"),
    "longest text": (file(value(STRING, text(b"", 2**64 - 1))), "a text of"),
    "long key": (file(text(b"", 2**63)), "a text of"),
    "texts without end": (file(array(STRING, 2**62)), "an array of"),
    "a text too many": (file(array(STRING, MAX_TEXTS + 1)) + bytes(9 * MAX_TEXTS), "an array of"),
    "numbers without end": (file(array(UINT64, 2**61)), "damaged"),
    "values without end": (file(num_values=2**64 - 1), "values"),
    "tensors without end": (file(count=2**62), "tensors"),
    "value missing": (file(value(UINT32, bytes(4)), num_values=2), "damaged"),
    "unknown type": (file(value(13, bytes(8))), "a.key is of type 13"),
    "key twice": (file(*[value(UINT32, bytes(4))] * 2), "the key a.key appears twice"),
    "no key": (file(value(UINT32, bytes(4), key=b"")), "an empty key"),
    "old": (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1, of 2023; convert the checkpoint"),
    "new": (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9, not 2 or 3; update glm3edge"),
    "big endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "run gguf-convert-endian FILE little"),
    "joined": (with_tensors(tensor(), num_bytes=39) + file(), "run llama-gguf-split --merge"),
    "joined and padded": (with_tensors(tensor(), num_bytes=57) + file(), "joined byte by byte"),
    "safetensors": (struct.pack("<Q", 2) + b'{"__metadata__":{}}', "give its folder, "),
    "PyTorch's": (b"PK\x03\x04" + bytes(100), "holds weights of a checkpoint"),
    "alignment 0": (file(value(UINT32, bytes(4), ALIGNMENT)), "power of two"),
    "alignment 48": (file(value(UINT32, struct.pack("<I", 48), ALIGNMENT)), "power of two"),
    "alignment text": (file(value(STRING, text(b"32"), ALIGNMENT)), "power of two"),
    "alignment of 8 bytes": (file(value(UINT64, bytes(8), ALIGNMENT)), "power of two"),
    "5 dimensions": (with_tensors(tensor(shape=(1,) * 5)), "has 5 dimensions"),
    "many dimensions": (with_tensors(text(b"t") + b"\xff" * 4), "dimensions"),
    "no rows": (with_tensors(tensor(shape=(8, 0))), "cannot have the shape"),
    "half a block": (with_tensors(tensor(shape=(40,), kind=2)), "cannot have the shape"),
    "unknown quantization": (with_tensors(tensor(kind=999)), "is of type 999"),
    "former quantization": (with_tensors(tensor(kind=31)), "tensor t is Q4_0_4_4, a type that"),
    "of chatglm.cpp": (b"ggml" + bytes(60), r"chatglm.cpp's own format.*glm3edge convert FOLDER"),
    "before GGUF": (b"tjgg" + bytes(60), "replaced with GGUF in 2023; convert the checkpoint"),
    "huge": (with_tensors(tensor(shape=(2**62, 2**62))), "it is cut off"),
    "beyond the end": (with_tensors(tensor(shape=(2048,))), "it is cut off"),
    "overlap": (with_tensors(tensor(b"a"), tensor(b"b")), "tensor b overlaps"),
    "gap": (with_tensors(tensor(offset=64)), "tensor t overlaps another, or leaves a gap"),
    "wrapped offset": (with_tensors(tensor(offset=2**64 - 32)), "tensor t overlaps"),
    "tensor twice": (with_tensors(tensor(), tensor(offset=32)), "tensor t overlaps"),
    "long name": (with_tensors(tensor(b"x" * 64)), "a text of 64 bytes"),
    "escapes": (file(value(13, b"", b"\x1b[2J\xe2\x80\xae")), r"\\x1b\[2J\\u202e is of type"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies(name: str, tmp_path: Path) -> None:
    data, reason = LIES[name]
    path = tmp_path / "a.gguf"
    path.write_bytes(data)
    with pytest.raises(GgufError, match=reason) as caught:
        read_header(path)
    assert caught.value.path == path
    assert len(caught.value.reason) < 400


def test_a_sparse_file_ends_too(tmp_path: Path) -> None:
    """Zeros are as many empty texts as a file is long."""
    path = tmp_path / "a.gguf"
    path.write_bytes(file(array(STRING, 2**40)))
    os.truncate(path, 2**43)
    with pytest.raises(GgufError, match="an array of"):
        read_header(path)
    path.write_bytes(file(array(0, 2**40)))
    os.truncate(path, 2**43)
    with pytest.raises(GgufError, match="damaged"):
        read_header(path)


@pytest.mark.skipif(os.name == "nt", reason="pipes have no place in a folder there")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(GgufError, match="it is a pipe, not a file"):
        read_header(tmp_path / "pipe.gguf")


def test_values_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(path, "x")
    writer.add_string("text", "你好")
    writer.add_bool("yes", True)
    writer.add_float32("half", 0.5)
    writer.add_array("short", [1, 2, 3])
    writer.add_array("long", [f"{number}" for number in range(100)])
    writer.add_array("numbers", list(range(20)))
    writer.add_tensor("a", np.arange(6, dtype=np.float16).reshape(2, 3))
    writer.add_tensor("b", np.array([[1.5]], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_header(path, whole={"numbers"})
    assert found.num_bytes == path.stat().st_size
    assert found.metadata == {
        "general.architecture": "x",
        "text": "你好",
        "yes": True,
        "half": 0.5,
        "short": [1, 2, 3],
        "long": LongArray(tuple("01234567"), 100),
        "numbers": list(range(20)),
    }
    assert found.types["long"] is gguf.GGUFValueType.STRING
    assert found.floats("a").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.floats("b").tolist() == [[1.5]]


def test_texts_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(file(value(STRING, text(b"\xff\x80"))))
    assert read_header(path).metadata["a.key"] == "\udcff\udc80"
