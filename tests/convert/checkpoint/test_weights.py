"""Reading checkpoint folders: what is there is read exactly, what is broken is named."""

import contextlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import deserialize
from safetensors.numpy import load_file, save_file

from glm3edge_convert import convert
from glm3edge_convert.checkpoint.safetensors import read_entries
from glm3edge_convert.checkpoint.weights import open_tensors
from glm3edge_convert.errors import (
    CheckpointError,
    DamagedFileError,
    MissingLibraryError,
    NotACheckpointError,
    TensorValueError,
    UnreadableFileError,
)
from glm3edge_convert.synth.random_checkpoint import make_checkpoint
from tests.support.checkpoints import (
    FIRST_SHARD,
    INDEX,
    LAST_SHARD,
    SMALL,
    edit_index,
    edit_shard,
    load_tensors,
    merge_shards,
    truncate,
)
from tests.support.optional import need_module

NORM = "transformer.encoder.final_layernorm.weight"
EMBEDDING = "transformer.embedding.word_embeddings.weight"
NUMPY_DTYPES = {"float16": "<f2", "float32": "<f4"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_values_are_widened_exactly(dtype: str, tokenizer: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    make_checkpoint(folder, shape=SMALL, tokenizer=tokenizer, dtype=dtype)
    tensors = open_tensors(folder)
    stored: dict[str, Any] = {}
    for name in (FIRST_SHARD, LAST_SHARD):
        stored |= dict(deserialize((folder / name).read_bytes()))  # type: ignore[no-untyped-call]
    assert tensors.keys() == stored.keys()
    for name, info in stored.items():
        found = tensors[name].rows(0, info["shape"][0])
        assert found.dtype == np.float32
        assert found.shape == tensors[name].shape == tuple(info["shape"])
        np.testing.assert_array_equal(found.ravel(), _widen(info["data"], dtype))


def _widen(data: bytes, dtype: str) -> NDArray[np.float32]:
    if dtype == "bfloat16":
        pairs = np.frombuffer(data, np.uint8).reshape(-1, 2)
        return np.pad(pairs, ((0, 0), (2, 0))).reshape(-1).view("<f4")
    return np.frombuffer(data, NUMPY_DTYPES[dtype]).astype(np.float32)


def test_a_range_of_rows(small_checkpoint: Path) -> None:
    tensor = open_tensors(small_checkpoint)[EMBEDDING]
    everything = load_tensors(small_checkpoint)[EMBEDDING]
    for start, stop in ((0, 1), (5, 9), (1600, everything.shape[0]), (3, 3)):
        np.testing.assert_array_equal(tensor.rows(start, stop), everything[start:stop])


def test_one_file_instead_of_shards(checkpoint: Path) -> None:
    expected = load_tensors(checkpoint)
    merge_shards(checkpoint)
    found = open_tensors(checkpoint)
    assert {name: tensor.shape for name, tensor in found.items()} == {
        name: value.shape for name, value in expected.items()
    }


def test_safetensors_come_before_bin(checkpoint: Path) -> None:
    (checkpoint / "pytorch_model.bin").write_bytes(b"not read")
    assert open_tensors(checkpoint)


def test_no_weights(checkpoint: Path) -> None:
    for path in checkpoint.glob("model*"):
        path.unlink()
    with pytest.raises(NotACheckpointError, match=r"no model\.safetensors or pytorch_model\.bin"):
        open_tensors(checkpoint)


HEADER = {"a": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}}


def _file(header: object, data: bytes = bytes(8)) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _header(**changes: object) -> bytes:
    return _file({"a": HEADER["a"] | changes})


DAMAGED_FILES = {
    "empty": (b"", "is empty"),
    "an HTML page": (b"<!DOCTYPE html><html></html>", "is a web page"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    "huge header": ((2**62).to_bytes(8, "little") + b"{}", "not a safetensors file"),
    "header cut": (_file(HEADER)[:20], "truncated within its header"),
    "header not JSON": (_file(HEADER).replace(b"{", b"(", 1), "not JSON"),
    "header not UTF-8": ((4).to_bytes(8, "little") + b'{"\xff"', "not JSON"),
    "header too deep": (
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        "not JSON",
    ),
    "header a list": (_file([]), "not a JSON object"),
    "tensor not an object": (_file({"a": 3}), "malformed header for tensor a"),
    "offsets missing": (_file({"a": {"dtype": "F16", "shape": [2]}}), "malformed header"),
    "offsets not numbers": (_header(data_offsets=["0", "8"]), "malformed header"),
    "unknown dtype": (_header(dtype="F12"), "malformed dtype"),
    "negative size": (_header(shape=[-2, -2]), "malformed dtype or shape"),
    "fractional size": (_header(shape=[2.0, 2]), "malformed dtype or shape"),
    "shape of another size": (_header(shape=[2, 3]), "do not fit the shape"),
    "offsets reversed": (_header(data_offsets=[8, 0]), "do not fit the shape"),
    "negative offset": (_header(data_offsets=[-8, 0]), "do not fit the shape"),
    "gap": (_header(data_offsets=[2, 10]), "gap or an overlap"),
    "overlap": (_file(HEADER | {"b": HEADER["a"]}), "gap or an overlap before tensor b"),
    "data cut": (_file(HEADER, bytes(7)), "truncated: tensor a ends at byte"),
    "data left over": (_file(HEADER, bytes(9)), "1 bytes after its last tensor"),
}


@pytest.mark.parametrize("case", DAMAGED_FILES)
def test_damaged_safetensors(case: str, tmp_path: Path) -> None:
    data, problem = DAMAGED_FILES[case]
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=problem) as info:
        open_tensors(tmp_path)
    assert info.value.path == path


@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.tuples(st.integers(0, len(_file(HEADER)) - 1), st.integers(0, 255)).map(
            lambda change: _patched(*change)
        ),
    )
)
def test_any_damage_is_reported_as_such(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    path.write_bytes(data)
    with contextlib.suppress(DamagedFileError):
        read_entries(path)


def _patched(position: int, value: int) -> bytes:
    data = bytearray(_file(HEADER))
    data[position] = value
    return bytes(data)


def test_a_well_formed_file_is_accepted(tmp_path: Path) -> None:
    """Guards the table above: its files differ from a good one by the damage only."""
    (tmp_path / "model.safetensors").write_bytes(_file(HEADER))
    assert open_tensors(tmp_path)["a"].shape == (2, 2)


def test_the_library_writes_what_we_read(tmp_path: Path) -> None:
    values = {"b": np.ones((3, 5), np.float32), "a": np.zeros(7, np.float16)}
    save_file(values, tmp_path / "model.safetensors", metadata={"format": "pt"})
    entries = read_entries(tmp_path / "model.safetensors")
    assert {entry.name: entry.shape for entry in entries} == {"a": (7,), "b": (3, 5)}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float64"])
def test_other_types_are_refused_by_name(dtype: str, tmp_path: Path) -> None:
    save_file({"a": np.ones((2, 2), dtype)}, tmp_path / "model.safetensors")
    with pytest.raises(TensorValueError, match="tensor a is stored as"):
        open_tensors(tmp_path)["a"].rows(0, 1)


def test_a_file_cut_short_after_opening(checkpoint: Path) -> None:
    tensor = open_tensors(checkpoint)[EMBEDDING]
    (checkpoint / FIRST_SHARD).write_bytes(b"x")
    with pytest.raises(DamagedFileError, match="truncated"):
        tensor.rows(0, 5)
    (checkpoint / FIRST_SHARD).unlink()
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        tensor.rows(0, 5)


def _write_index(checkpoint: Path, text: str) -> None:
    (checkpoint / INDEX).write_text(text, "utf-8")


def _duplicate_norm(checkpoint: Path) -> None:
    value = load_file(checkpoint / LAST_SHARD)[NORM]
    edit_shard(checkpoint, FIRST_SHARD, lambda tensors: tensors.update({NORM: value}))


BROKEN_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "index not JSON": (lambda p: _write_index(p, "{"), "not JSON"),
    "index a list": (lambda p: _write_index(p, "[]"), "not a JSON object"),
    "index too deep": (lambda p: _write_index(p, "[" * 100_000), "not JSON"),
    "index without map": (lambda p: _write_index(p, '{"metadata": {}}'), "no weight_map"),
    "index with empty map": (lambda p: _write_index(p, '{"weight_map": {}}'), "no weight_map"),
    "index to numbers": (lambda p: _write_index(p, '{"weight_map": {"a": 1}}'), "no weight_map"),
    "shard missing": (lambda p: (p / LAST_SHARD).unlink(), f"{LAST_SHARD}: is missing although"),
    "shard truncated": (lambda p: truncate(p / LAST_SHARD), f"{LAST_SHARD}: is truncated"),
    "index lacks a tensor": (
        lambda p: edit_index(p, lambda m: m.pop(NORM)),
        f"tensor {NORM} of {LAST_SHARD} is not listed",
    ),
    "index has one more": (
        lambda p: edit_index(p, lambda m: m.update({"extra": LAST_SHARD})),
        f"tensor extra is not in {LAST_SHARD}",
    ),
    "index names another shard": (
        lambda p: edit_index(p, lambda m: m.update({NORM: FIRST_SHARD})),
        f"tensor {NORM} is in {LAST_SHARD}, not in {FIRST_SHARD}",
    ),
    "tensor in two shards": (_duplicate_norm, f"tensor {NORM} is (also )?in {FIRST_SHARD}"),
}


@pytest.mark.parametrize("case", BROKEN_FOLDERS)
def test_broken_folders(case: str, checkpoint: Path) -> None:
    damage, problem = BROKEN_FOLDERS[case]
    damage(checkpoint)
    with pytest.raises(CheckpointError, match=problem):
        open_tensors(checkpoint)


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "a/b", "..", "", "C:\\x", "c:x", "a\0b"]
)
def test_an_index_may_not_point_outside(name: str, checkpoint: Path) -> None:
    (checkpoint.parent / "secret.safetensors").write_bytes(_file(HEADER))
    edit_index(checkpoint, lambda weight_map: weight_map.update({"a": name}))
    with pytest.raises(CheckpointError, match="outside its folder"):
        open_tensors(checkpoint)


@pytest.mark.slow
class TestBin:
    """``.bin`` checkpoints, read through torch."""

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
    @pytest.mark.parametrize("sharded", [False, True])
    def test_equals_safetensors(self, dtype: str, sharded: bool, checkpoint: Path) -> None:
        torch = _torch()
        expected = load_tensors(checkpoint)
        state = {
            name: torch.from_numpy(value).to(getattr(torch, dtype))
            for name, value in expected.items()
        }
        _replace_by_bin(checkpoint, state, sharded=sharded)
        found = open_tensors(checkpoint)
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            assert tensor.shape == expected[name].shape
            np.testing.assert_array_equal(
                tensor.rows(0, tensor.shape[0]), state[name].float().numpy()
            )

    def test_converts_to_the_same_bytes(self, checkpoint: Path, tmp_path: Path) -> None:
        torch = _torch()
        convert(checkpoint, tmp_path / "a.gguf", threads=1)
        state = {k: torch.from_numpy(v) for k, v in load_tensors(checkpoint).items()}
        _replace_by_bin(checkpoint, state, sharded=True)
        convert(checkpoint, tmp_path / "b.gguf", threads=2)
        assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()

    @pytest.mark.parametrize("case", ["text", "truncated", "a list", "not tensors", "code"])
    def test_damaged(self, case: str, tmp_path: Path) -> None:
        torch = _torch()
        path = tmp_path / "pytorch_model.bin"
        values = {
            "a list": [1, 2],
            "not tensors": {"a": 1},
            "code": {"a": _RunsCode()},
        }
        torch.save(values.get(case, {"a": torch.ones(100)}), path)
        if case == "text":
            path.write_text("<html>")
        elif case == "truncated":
            truncate(path, 200)
        with pytest.raises(DamagedFileError, match=r"pytorch_model\.bin"):
            open_tensors(tmp_path)

    def test_integers_are_refused(self, tmp_path: Path) -> None:
        torch = _torch()
        torch.save({"a": torch.ones(3, dtype=torch.int8)}, tmp_path / "pytorch_model.bin")
        with pytest.raises(TensorValueError, match=r"stored as torch\.int8"):
            open_tensors(tmp_path)["a"].rows(0, 1)

    def test_without_torch_the_extra_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        (tmp_path / "pytorch_model.bin").write_bytes(b"")
        with pytest.raises(MissingLibraryError, match=r"pip install 'glm3edge\[torch\]'"):
            open_tensors(tmp_path)


class _RunsCode:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return pytest.fail, ("code from a .bin file ran",)


def _torch() -> Any:
    return need_module("torch", "torch, which reads .bin files, is not installed")


def _replace_by_bin(checkpoint: Path, state: dict[str, object], *, sharded: bool) -> None:
    torch = _torch()
    for path in checkpoint.glob("model*"):
        path.unlink()
    if not sharded:
        torch.save(state, checkpoint / "pytorch_model.bin")
        return
    names = list(state)
    middle = math.ceil(len(names) / 2)
    weight_map: dict[str, str] = {}
    for index, part in enumerate((names[:middle], names[middle:]), start=1):
        file_name = f"pytorch_model-{index:05d}-of-00002.bin"
        torch.save({name: state[name] for name in part}, checkpoint / file_name)
        weight_map |= dict.fromkeys(part, file_name)
    text = json.dumps({"metadata": {}, "weight_map": weight_map})
    (checkpoint / "pytorch_model.bin.index.json").write_text(text, "utf-8")
