"""Logits: masking them, and the log probabilities that they stand for."""

import math

import numpy as np
from numpy.typing import NDArray

from glm3edge.core import Mask, TokenLogprobs

_NEVER = -9999.0  # OpenAI's API gives it for tokens that cannot come


def forbid(logits: NDArray[np.float32], allowed: Mask) -> None:
    """Mask out of ``logits``, ``[vocab_size]``, the tokens without a bit in ``allowed``."""
    bits = np.unpackbits(allowed, count=min(8 * len(allowed), len(logits)), bitorder="little")
    logits[: len(bits)][bits == 0] = -np.inf
    logits[len(bits) :] = -np.inf


def token_logprobs(logits: NDArray[np.float32], token_id: int, num_top: int) -> TokenLogprobs:
    """Log-softmax of ``logits``, ``[vocab_size]``: of one token, and of the ``num_top`` largest.

    Masked tokens get ``_NEVER``, as JSON has no infinity.
    """
    largest = float(logits.max())
    total = largest + math.log(float(np.exp(logits - largest).sum(dtype=np.float64)))
    top: NDArray[np.int64] = np.empty(0, np.int64)
    if num_top:
        best = np.argpartition(logits, -num_top)[-num_top:]
        top = best[np.argsort(-logits[best], kind="stable")]
    return TokenLogprobs(
        max(float(logits[token_id]) - total, _NEVER),
        tuple((int(best_id), max(float(logits[best_id]) - total, _NEVER)) for best_id in top),
    )
