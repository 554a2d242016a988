"""Quantizing rows: values that cannot be stored, threads, a missing library."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from numpy.typing import NDArray

from glm3edge_convert.errors import MissingLibraryError, TensorValueError
from glm3edge_convert.models.output_tensors import OutputTensor
from glm3edge_convert.quantize import quantizer as module
from glm3edge_convert.quantize.quantizer import Quantizer

TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
NUM_ROWS, ROW_SIZE = 600, 512


class _Values:
    """A source tensor in memory."""

    name, path = "a.weight", Path("shard")

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values, self.shape = values, values.shape

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        return self.values[start:stop]


def _tensor(values: NDArray[np.float32]) -> OutputTensor:
    return OutputTensor("a", values.shape, _Values(values))


@pytest.fixture
def values() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((NUM_ROWS, ROW_SIZE), np.float32)


@pytest.fixture
def _small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLAB_VALUES", 7 * ROW_SIZE)


@pytest.mark.usefixtures("_small_slabs")
@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("num_threads", [1, 3])
def test_slabs_come_in_order(type_name: str, num_threads: int, values: NDArray[np.float32]) -> None:
    tensor_type = GGMLQuantizationType[type_name]
    with Quantizer(num_threads) as quantizer:
        slabs = list(quantizer.quantize(_tensor(values), tensor_type))
    assert len(slabs) == -(-NUM_ROWS // 7)
    whole = module.quantize_rows(values, tensor_type)
    np.testing.assert_array_equal(np.concatenate(slabs), whole)


@pytest.mark.parametrize("type_name", TYPES)
def test_values_come_back(type_name: str, values: NDArray[np.float32]) -> None:
    tensor_type = GGMLQuantizationType[type_name]
    data = module.quantize_rows(values, tensor_type).reshape(NUM_ROWS, -1)
    restored = quants.dequantize(data, tensor_type)
    assert np.abs(restored - values).max() < (0.02 if type_name in TYPES[:4] else 0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("type_name", TYPES)
def test_values_that_are_not_finite(
    value: float, type_name: str, values: NDArray[np.float32]
) -> None:
    values[400, 100] = value
    with (
        Quantizer(2) as quantizer,
        pytest.raises(TensorValueError, match=r"tensor a\.weight has values that are not finite"),
    ):
        list(quantizer.quantize(_tensor(values), GGMLQuantizationType[type_name]))


@pytest.mark.parametrize("type_name", TYPES)
def test_values_beyond_float16(type_name: str, values: NDArray[np.float32]) -> None:
    values[3, 5] = -70000
    problem = module.find_problem(values, GGMLQuantizationType[type_name])
    assert (problem is None) == (type_name in {"F32", "BF16"})
    values[3, 5] = -65504
    assert module.find_problem(values, GGMLQuantizationType[type_name]) is None


@pytest.fixture
def _no_library_loaded() -> Iterator[None]:
    module.load_library.cache_clear()
    yield
    module.load_library.cache_clear()


@pytest.mark.usefixtures("_no_library_loaded")
def test_no_llama_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingLibraryError, match="pip install llama-cpp-python"):
        module.load_library()


@pytest.mark.usefixtures("_no_library_loaded")
def test_broken_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "llama_cpp", tmp_path / "__init__.py", submodule_search_locations=[str(tmp_path)]
    )
    (tmp_path / "lib").mkdir()
    name = module.LIBRARY_NAMES.get(sys.platform, module.DEFAULT_LIBRARY_NAME)
    (tmp_path / "lib" / name).write_bytes(b"not a library")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(MissingLibraryError, match="--force-reinstall"):
        module.load_library()


def test_heavy_libraries_are_not_imported() -> None:
    code = (
        "import sys; from glm3edge_convert import cli; from glm3edge_convert.synth import __main__;"
        "from glm3edge_convert.quantize import quantizer; quantizer.load_library();"
        "print({'torch', 'transformers', 'llama_cpp'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout.strip() == b"set()"
