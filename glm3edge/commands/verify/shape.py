"""Comparison of a model's sizes in a GGUF file with the original's."""

import math
from collections.abc import Mapping
from pathlib import Path

from glm3edge.commands.verify.errors import MismatchError
from glm3edge.llama.model import Model
from glm3edge.llama.model_checks import CHAT_ARCHITECTURE

KEYS = (
    "block_count",
    "embedding_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.layer_norm_rms_epsilon",
    "rope.dimension_count",
    "rope.freq_base",
    "context_length",
)
"""Sizes that determine the computation. The feed-forward width may be padded and is left out."""

_TOLERANCE = 1e-6  # llama.cpp gives metadata with six decimals


def shape_of(model: Model) -> dict[str, float]:
    """Values of ``KEYS`` in a file."""
    found = ((key, model.metadata(f"{CHAT_ARCHITECTURE}.{key}")) for key in KEYS)
    return {key: float(value) for key, value in found if value is not None}


def check_shape(path: Path, found: Mapping[str, float], original: Mapping[str, float]) -> None:
    """Compare the values of ``KEYS``.

    Raises:
        MismatchError: naming the first that differs.
    """
    for key in KEYS:
        value, expected = found.get(key), original.get(key)
        if value is None or expected is None:
            equal = value is expected
        else:
            equal = math.isclose(value, expected, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE / 2)
        if not equal:
            raise MismatchError(
                path,
                f"{key} is {_text(value)} where the original has {_text(expected)}: "
                "it comes from another model",
            )


def _text(value: float | None) -> str:
    return "not given" if value is None else f"{value:.9g}"
