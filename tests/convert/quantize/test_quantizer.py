"""Quantizing rows: values that cannot be stored, threads."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from numpy.typing import NDArray

from glm3edge_convert.errors import TensorValueError
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
