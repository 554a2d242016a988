"""Limits of a file's divergence from its original, by type.

They are for the mean Kullback-Leibler divergence in nats a token. Those of quantized types are
some four times what llama.cpp's documentation (tools/perplexity/README.md) reports of LLaMA 3 8B,
such as 0.0014 for q8_0, 0.011 for q5_k_m, 0.031 for q4_k_m and 0.45 for q2_k: a file beyond its
limit has something wrong with it, not just few bits. Small models lose more; their limit is higher.

A KV cache of a type may cost as much as weights of that type, and both together the sum: on
glm3-tiny, the divergences due to weights and KV cache add up, to within a tenth.
"""

from glm3edge.config.kv_types import KV_TYPES

EXACT = "f32"
"""Data type of a KV cache that loses nothing."""

FILE_KV_TYPES = (EXACT, *KV_TYPES)
"""Data types of the KV cache that a file can be verified with."""

MAX_MEAN_KL = {
    "f32": 1e-5,
    "f16": 1e-3,
    "bf16": 5e-3,
    "q8_0": 6e-3,
    "q6_k": 2e-2,
    "q5_k_m": 5e-2,
    "q5_k_s": 7e-2,
    "q4_k_m": 0.13,
    "q4_k_s": 0.18,
    "q4_0": 0.3,
    "iq4_nl": 0.18,
    "iq4_xs": 0.18,
    "q3_k_l": 0.35,
    "q3_k_m": 0.4,
    "q3_k_s": 0.9,
    "iq3_m": 0.5,
    "iq3_s": 0.5,
    "iq3_xxs": 0.8,
    "q2_k": 1.8,
    "iq2_m": 1.5,
    "iq2_xs": 2.2,
}
"""By output type, as in ``glm3edge convert --type``."""

SMALL_MODEL = 1_000_000_000
"""Models of fewer parameters are small."""

SMALL_MODEL_FACTOR = 3
"""Factor of their limits."""


def max_mean_kl(quant_type: str, num_params: int, kv_type: str = EXACT) -> float | None:
    """Limit of the mean divergence; None if none is known for the type.

    Args:
        quant_type: output type of the file.
        num_params: number of its weights.
        kv_type: data type of the KV cache; f32 costs nothing.
    """
    if quant_type not in MAX_MEAN_KL:
        return None
    limit = MAX_MEAN_KL[quant_type]
    if kv_type != EXACT:
        limit += MAX_MEAN_KL[kv_type]
    return limit if num_params >= SMALL_MODEL else SMALL_MODEL_FACTOR * limit
