"""The slab-wise reference against the plain one of the converter's tests, in float64."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from glm3edge.commands.verify import reference
from glm3edge.commands.verify.reference import Reference
from glm3edge_convert.errors import ConvertError
from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint
from tests.support.reference import Model as PlainReference

pytestmark = pytest.mark.slow

BASE = Shape(
    hidden_size=64,
    num_layers=2,
    num_heads=4,
    num_groups=2,
    kv_channels=16,
    ffn_hidden_size=100,
    seq_length=256,
)
LENGTH = 24
CASES = {
    "base": (BASE, "float16"),
    "one group": (replace(BASE, num_groups=1), "float16"),
    "a group to a head": (replace(BASE, num_groups=4), "float16"),
    "eight heads": (replace(BASE, num_heads=8, kv_channels=8), "float16"),
    "rope_ratio 50": (replace(BASE, rope_ratio=50), "float16"),
    "bfloat16": (BASE, "bfloat16"),
    "float32": (BASE, "float32"),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree(
    case: str, tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five sequences in groups of two, with weights in slabs of seven rows or fewer."""
    shape, dtype = CASES[case]
    tokenizer = tiny_checkpoint / "tokenizer.model"
    make_checkpoint(tmp_path / "made", shape=shape, tokenizer=tokenizer, dtype=dtype)
    monkeypatch.setattr(reference, "SLAB_BYTES", 7 * 64 * 4)
    monkeypatch.setattr(reference, "GROUP_TOKENS", 2 * LENGTH + 1)
    plain = PlainReference(tmp_path / "made")
    rng = np.random.default_rng(0)
    sequences = rng.integers(plain.num_tokens, size=(5, LENGTH)).tolist()
    found = list(Reference(tmp_path / "made").logits(sequences, 9))
    assert len(found) == 5
    for sequence, logits in zip(sequences, found, strict=True):
        expected = plain.logits(sequence)[-9:]
        assert expected.std() > 1
        np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_memory_is_bounded(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the slab, not by the checkpoint: its weights alone would be 14 MB."""
    monkeypatch.setattr(reference, "SLAB_BYTES", 2**16)
    checked = Reference(tiny_checkpoint)
    tracemalloc.start()
    try:
        for _ in checked.logits([list(range(32))] * 3, 4):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    weights = sum(path.stat().st_size for path in tiny_checkpoint.glob("*.safetensors")) * 2
    assert weights > 12_000_000
    assert peak < 2_000_000


def test_another_model(tmp_path: Path, tiny_checkpoint: Path) -> None:
    config = (tiny_checkpoint / "config.json").read_text("utf-8")
    (tmp_path / "config.json").write_text(config.replace('"num_layers": 4', '"num_layers": 3'))
    for path in tiny_checkpoint.glob("*"):
        if path.name != "config.json":
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(ConvertError, match="unexpected tensor"):
        Reference(tmp_path)


def test_gates_far_below_zero_are_shut(tmp_path: Path, tiny_checkpoint: Path) -> None:
    """exp(-x) overflows there, though not in the plain reference's float64."""
    tokenizer = tiny_checkpoint / "tokenizer.model"
    make_checkpoint(tmp_path / "made", shape=BASE, tokenizer=tokenizer, dtype="float32")
    path = tmp_path / "made" / "model-00001-of-00002.safetensors"
    tensors = load_file(path)
    for name in [name for name in tensors if name.endswith("dense_h_to_4h.weight")]:
        tensors[name] *= 100
    save_file(tensors, path)
    (found,) = Reference(tmp_path / "made").logits([list(range(LENGTH))], 9)
    expected = PlainReference(tmp_path / "made").logits(list(range(LENGTH)))[-9:]
    np.testing.assert_allclose(found, expected, atol=1e-3)
