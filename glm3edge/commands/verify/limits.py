"""How far from its original a file of each type may be.

Limits are for the mean Kullback-Leibler divergence in nats a token. Those of quantized types are
some four times what llama.cpp's documentation (tools/perplexity/README.md) reports of LLaMA 3 8B,
such as 0.0014 for q8_0, 0.011 for q5_k_m, 0.031 for q4_k_m and 0.45 for q2_k: a file beyond its
limit has something wrong with it, not just few bits. Small models lose more, and may.

Keys and values of a type may cost as much as weights of that type, and both together what each may:
measured on glm3-tiny, divergences of weights and of keys and values add up to a tenth.
"""

from glm3edge.config.kv_types import KV_TYPES
from glm3edge_convert.quantize.recipe import RECIPES

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
"""How many times as far those may be."""


def max_mean_kl(
    type: str,  # noqa: A002 - the option's name
    num_params: int,
    kv_type: str = EXACT,
) -> float | None:
    """What a file of an output type may reach; None if no limit is known for the type.

    Args:
        type: the file's.
        num_params: how many weights it has.
        kv_type: what keys and values are kept in; f32 costs nothing.
    """
    if type not in MAX_MEAN_KL:
        return None
    limit = MAX_MEAN_KL[type]
    if kv_type != EXACT:
        limit += MAX_MEAN_KL[kv_type]
    return limit if num_params >= SMALL_MODEL else SMALL_MODEL_FACTOR * limit


def type_name(file_type: str | None) -> str:
    """The output type that GGUF's ``general.file_type`` stands for; ``type N`` if it is another."""
    for name, recipe in RECIPES.items():
        if str(int(recipe.file_type)) == file_type:
            return name
    return f"type {file_type}"
