"""The converted f16 file, run by llama.cpp, agrees with a NumPy forward pass of the checkpoint."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glm3edge_convert import convert
from glm3edge_convert.synth.random_checkpoint import Shape
from tests.support import llama, reference
from tests.support.checkpoints import MakeCheckpoint

pytestmark = pytest.mark.slow

BASE = Shape(
    hidden_size=256,
    num_layers=3,
    num_heads=4,
    num_groups=2,
    kv_channels=64,
    ffn_hidden_size=512,
    seq_length=512,
)
NUM_TOKENS = 64
LEAD = 0.01
TOLERANCE = 0.05  # logits have a standard deviation of 2

CASES = {
    "base": (BASE, "float16"),
    "one layer": (replace(BASE, num_layers=1), "float16"),
    "ten layers": (replace(BASE, num_layers=10), "float16"),
    "one group": (replace(BASE, num_groups=1), "float16"),
    "a group to a head": (replace(BASE, num_groups=4), "float16"),
    "eight heads of 32": (replace(BASE, num_heads=8, kv_channels=32), "float16"),
    "padded ffn": (replace(BASE, ffn_hidden_size=640), "float16"),
    "odd ffn": (replace(BASE, ffn_hidden_size=333), "float16"),
    "hidden 96": (replace(BASE, hidden_size=96, num_heads=6, kv_channels=16), "float16"),
    "rope_ratio 1": (replace(BASE, rope_ratio=1), "float16"),
    "rope_ratio 50": (replace(BASE, rope_ratio=50), "float16"),
    "bfloat16": (replace(BASE, ffn_hidden_size=640), "bfloat16"),
    "float32": (replace(BASE, ffn_hidden_size=640), "float32"),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree(case: str, make: MakeCheckpoint, tmp_path: Path) -> None:
    shape, dtype = CASES[case]
    checkpoint = make(shape, dtype=dtype)
    output = tmp_path / "model.gguf"
    convert(checkpoint, output, quant_type="f16", threads=2)
    tokens, expected = _decisive_sequence(reference.Model(checkpoint))
    with llama.Model(output) as model:
        found = model.logits(tokens)
    assert expected.std() > 1
    assert np.abs(found - expected).max() < TOLERANCE
    np.testing.assert_array_equal(found.argmax(-1), expected.argmax(-1))


def _decisive_sequence(model: reference.Model) -> tuple[list[int], reference.Array]:
    """Random tokens and their logits, the largest of which leads clearly at every position.

    Two logits closer than f16 rounding may swap on another processor, and that is no error.
    """
    for seed in range(1000):
        tokens = np.random.default_rng(seed).integers(model.num_tokens, size=NUM_TOKENS).tolist()
        logits = model.logits(tokens)
        second, first = np.partition(logits, -2, axis=-1)[:, -2:].T
        if (first - second).min() > LEAD:
            return tokens, logits
    raise AssertionError("no decisive sequence")


def test_rotary_positions_matter(make: MakeCheckpoint) -> None:
    """Guards the test above: its sequences are long enough to tell rope_ratio 1 from 50."""
    checkpoint = make(BASE)
    tokens = list(range(NUM_TOKENS))
    expected = reference.Model(checkpoint).logits(tokens)
    config = checkpoint / "config.json"
    config.write_text(config.read_text("utf-8").replace("{", '{"rope_ratio": 50,', 1), "utf-8")
    assert np.abs(reference.Model(checkpoint).logits(tokens) - expected).max() > 10 * TOLERANCE
