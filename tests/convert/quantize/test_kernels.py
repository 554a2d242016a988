"""Our kernels give ggml's bytes, whatever the values; without them ggml does the work."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from glm3edge_convert.quantize import kernels as module
from glm3edge_convert.quantize.library import load_library
from glm3edge_convert.quantize.recipe import row_num_bytes
from tests.support.optional import missing
from tests.support.paths import ROOT

NUM_ROWS, ROW_SIZE = 48, 768  # an odd number of superblocks to a row
TYPES = list(module.FUNCTION_NAMES)


def _forget() -> None:
    module.find_kernel.cache_clear()
    module._load_kernels.cache_clear()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels, compiled as scripts/install.sh does."""
    if sys.platform == "win32" or not shutil.which(os.environ.get("CC", "cc")):
        missing("no C compiler: apt install gcc")
    path = tmp_path_factory.mktemp("kernels") / "libkernels.so"
    subprocess.run([ROOT / "scripts/compile_kernels.sh", path], check=True)
    return path


@pytest.fixture
def _kernels(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "KERNELS_PATH", compiled)
    _forget()
    yield
    _forget()


def _ggml(values: NDArray[np.float32], tensor_type: GGMLQuantizationType) -> NDArray[np.uint8]:
    num_rows, row_size = values.shape
    data = np.zeros(num_rows * row_num_bytes(tensor_type, row_size), np.uint8)
    load_library().ggml_quantize_chunk(
        tensor_type, values.ctypes.data, data.ctypes.data, 0, num_rows, row_size, None
    )
    return data


RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.standard_normal((NUM_ROWS, ROW_SIZE))
KINDS = {
    "normal": NORMAL,
    "weights": (NORMAL * 0.02).astype(np.float16),
    # Some scales are rounded to zero, and ggml keeps what it had found before.
    "blocks of all sizes": NORMAL
    * np.exp(4 * RANDOM.standard_normal((NUM_ROWS, ROW_SIZE // 16))).repeat(16, axis=1),
    "outliers": np.where(RANDOM.random(NORMAL.shape) < 0.01, NORMAL * 1000, NORMAL),
    "columns of zeros": np.where(np.arange(ROW_SIZE) < ROW_SIZE - 128, NORMAL, 0),
    "all positive": np.abs(NORMAL),
    "all negative": -np.abs(NORMAL),
    "small integers": np.rint(NORMAL * 2),
    "halves": np.rint(NORMAL * 8) / 2,
    "flat blocks": np.rint(NORMAL[:, ::32]).repeat(32, axis=1),
    "zeros": np.zeros_like(NORMAL),
    "sparse": np.where(RANDOM.random(NORMAL.shape) < 0.03, NORMAL, 0),
    "the smallest of float16": np.rint(NORMAL * 3) * 2.0**-24,
    "the largest of float16": np.clip(NORMAL * 40000, -65504, 65504),
    "subnormal": NORMAL * 1e-40,
    "tiny": NORMAL * 1e-16,
}
"""Values that a checkpoint may hold."""


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tensor_type", TYPES, ids=lambda its_type: its_type.name)
def test_bytes_are_those_of_ggml(tensor_type: GGMLQuantizationType, kind: str) -> None:
    kernel = module.find_kernel(tensor_type)
    assert kernel is not None
    values = np.ascontiguousarray(KINDS[kind], np.float32)
    for num_rows in (NUM_ROWS, 1):
        theirs = _ggml(values[:num_rows], tensor_type)
        ours = np.full_like(theirs, 0xAA)
        kernel(values[:num_rows], ours)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("_kernels")
def test_every_float16_is_widened_as_numpy_does() -> None:
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    expected = values.astype(np.float32)
    np.testing.assert_array_equal(
        module.widen_float16(values).view(np.uint32), expected.view(np.uint32)
    )


@pytest.mark.usefixtures("_kernels")
def test_a_kernel_that_rounds_differently_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As compilers' kernels may on processors where they fuse multiplications and additions."""
    monkeypatch.setitem(module.FUNCTION_NAMES, GGMLQuantizationType.Q5_K, "quantize_q4_K")
    assert module.find_kernel(GGMLQuantizationType.Q5_K) is None


def test_without_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KERNELS_PATH", tmp_path / "libkernels.so")
    _forget()
    try:
        assert [module.find_kernel(its_type) for its_type in TYPES] == [None] * len(TYPES)
        values = np.array([1.5, -0.0], np.float16)
        assert module.widen_float16(values).tobytes() == values.astype(np.float32).tobytes()
    finally:
        _forget()
