"""What is collected, held against the same sums in NumPy."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glm3edge.errors import ModelError
from glm3edge.llama import importance
from glm3edge.llama.importance import collect_importances
from glm3edge.llama.model import Model
from glm3edge_convert import convert
from tests.support import reference

NAMES = {
    "self_attention.query_key_value": "attn_qkv",
    "self_attention.dense": "attn_output",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
}


class Recorded:
    """A weight that notes the squares of what it is multiplied with."""

    __array_ufunc__ = None  # NumPy leaves products to this class

    def __init__(self, weight: Any, note: Callable[[Any], None]) -> None:
        self.weight, self.note = weight, note

    @property
    def T(self) -> "Recorded":  # noqa: N802 - as NumPy calls it
        return self

    def __rmatmul__(self, x: Any) -> Any:
        self.note((x * x).sum(axis=0))
        return x @ self.weight.T


class RecordingModel(reference.Model):
    """The reference, with the sums of squares by tensor."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__(checkpoint)
        self.sums: dict[str, Any] = {}
        for name in list(self._weights):
            prefix, _, rest = name.partition("transformer.encoder.layers.")
            layer, _, kind = rest.removesuffix(".weight").partition(".")
            if not prefix and kind in NAMES and name.endswith(".weight"):
                self._record(name, f"blk.{layer}.{NAMES[kind]}.weight")

    def _record(self, name: str, tensor: str) -> None:
        def note(squares: Any) -> None:
            self.sums[tensor] = self.sums.get(tensor, 0) + squares

        weights: Any = self._weights
        weights[name] = Recorded(weights[name], note)


@pytest.fixture(scope="module")
def f32(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("f32") / "model.gguf"
    convert(tiny_checkpoint, path, quant_type="f32")
    return path


def test_sums_are_those_of_the_reference(tiny_checkpoint: Path, f32: Path) -> None:
    rng = np.random.default_rng(1)
    chunks = [rng.integers(300, 900, size).tolist() for size in (40, 20, 33)]
    seen: list[int] = []
    with Model(f32) as model:
        found = collect_importances(model, chunks, num_threads=1, on_chunk=seen.append)
    expected = RecordingModel(tiny_checkpoint)
    for chunk in chunks:
        expected.logits(chunk)
    assert seen == [1, 2, 3]
    assert found.sums.keys() == expected.sums.keys()
    assert set(found.counts.values()) == {93}
    for name, sums in expected.sums.items():
        padding = found.sums[name][len(sums) :]
        np.testing.assert_allclose(found.sums[name][: len(sums)], sums, rtol=5e-3, atol=1e-4)
        assert not padding.any()


class OtherTensor(ctypes.Structure):
    """A tensor whose name stands elsewhere."""

    _fields_ = (("name", ctypes.c_char * 64),)


def test_another_layout_of_tensors_is_refused(f32: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "_Tensor", OtherTensor)
    with Model(f32) as model, pytest.raises(ModelError, match="of another layout"):
        collect_importances(model, [[1] * 20], num_threads=1)


def test_an_interrupt_is_no_end_of_a_chunk(f32: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_product: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(importance, "_is_wanted", interrupt)
    with Model(f32) as model, pytest.raises(KeyboardInterrupt):
        collect_importances(model, [[1] * 20], num_threads=1)


def test_the_model_can_be_used_afterwards(f32: Path) -> None:
    with Model(f32) as model:
        first = collect_importances(model, [[5] * 20], num_threads=1)
        second = collect_importances(model, [[5] * 20], num_threads=1)
    for name, sums in first.sums.items():
        np.testing.assert_array_equal(sums, second.sums[name])
