"""Hyperparameters of ChatGLM3: read from config.json, written to and read from GGUF metadata.

The fields are those of the official ``configuration_chatglm.py``; the keys those that llama.cpp
reads for its ``chatglm`` architecture.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFWriter

from glm3edge_convert.checkpoint.config import (
    CONFIG_FILE,
    MAX_LAYERS,
    check_options,
    count,
    positive,
)
from glm3edge_convert.errors import ConfigError

ARCHITECTURE = "chatglm"
BLOCK_SIZE = 256  # values to a super-block of ggml's K-quants
ROPE_BASE = 10000.0

# Options that llama.cpp's graph does not have, with the only value it computes.
FIXED_OPTIONS = {
    "rmsnorm": True,
    "post_layer_norm": True,
    "apply_residual_connection_post_layernorm": False,
    "add_bias_linear": False,
    "add_qkv_bias": True,
    "multi_query_attention": True,
    "original_rope": True,
    "tie_word_embeddings": False,
}


def padded(ffn_size: int) -> int:
    """The next multiple of BLOCK_SIZE."""
    return math.ceil(ffn_size / BLOCK_SIZE) * BLOCK_SIZE


@dataclass(frozen=True)
class HParams:
    """Sizes of a ChatGLM3 model; ``head_size`` is config.json's ``kv_channels``."""

    num_layers: int
    hidden_size: int
    num_heads: int
    num_groups: int
    head_size: int
    ffn_size: int
    context_size: int
    vocab_size: int
    norm_epsilon: float
    rope_ratio: float

    @property
    def n_gqa(self) -> int:
        """Number of query heads that share a key/value head, under llama.cpp's name."""
        return self.num_heads // self.num_groups

    @property
    def padded_ffn_size(self) -> int:
        """The feed-forward width in the output."""
        return padded(self.ffn_size)

    @property
    def qkv_size(self) -> int:
        """Rows of the fused query, key and value projection."""
        return (self.num_heads + 2 * self.num_groups) * self.head_size

    def to_gguf(self) -> dict[str, int | float]:
        """GGUF keys and values; an int is stored as uint32, a float as float32."""
        values: dict[str, int | float] = {
            "context_length": self.context_size,
            "embedding_length": self.hidden_size,
            "feed_forward_length": self.padded_ffn_size,
            "block_count": self.num_layers,
            "attention.head_count": self.num_heads,
            "attention.head_count_kv": self.num_groups,
            "attention.layer_norm_rms_epsilon": self.norm_epsilon,
            "rope.dimension_count": self.head_size // 2,
            "rope.freq_base": ROPE_BASE * self.rope_ratio,
            "vocab_size": self.vocab_size,
        }
        return {f"{ARCHITECTURE}.{key}": value for key, value in values.items()}


CHATGLM3_6B = HParams(
    num_layers=28,
    hidden_size=4096,
    num_heads=32,
    num_groups=2,
    head_size=128,
    ffn_size=13696,
    context_size=8192,
    vocab_size=65024,
    norm_epsilon=1e-5,
    rope_ratio=1.0,
)
"""Hyperparameters of zai-org/chatglm3-6b."""


def parse_hparams(folder: Path, config: Mapping[str, Any]) -> HParams:
    """Parse the config.json of ``folder``, checking types, ranges and relations of its values.

    Raises:
        ConfigError: a value cannot be; the error names its key.
    """
    path = folder / CONFIG_FILE
    check_options(path, config, FIXED_OPTIONS)
    hparams = HParams(
        num_layers=count(path, config, "num_layers", largest=MAX_LAYERS),
        hidden_size=count(path, config, "hidden_size"),
        num_heads=count(path, config, "num_attention_heads"),
        num_groups=count(path, config, "multi_query_group_num"),
        head_size=count(path, config, "kv_channels"),
        ffn_size=count(path, config, "ffn_hidden_size"),
        context_size=count(path, config, "seq_length"),
        vocab_size=count(path, config, "padded_vocab_size"),
        norm_epsilon=positive(path, config, "layernorm_epsilon", default=1e-5),
        rope_ratio=positive(path, config, "rope_ratio", default=1.0),
    )
    _check_relations(path, hparams)
    return hparams


def _check_relations(path: Path, hparams: HParams) -> None:
    if hparams.hidden_size != hparams.num_heads * hparams.head_size:
        raise ConfigError(
            path,
            "hidden_size",
            f"is {hparams.hidden_size} and must be num_attention_heads x kv_channels, "
            f"{hparams.num_heads} x {hparams.head_size}",
        )
    if hparams.num_heads % hparams.num_groups:
        raise ConfigError(
            path, "multi_query_group_num", f"must divide num_attention_heads {hparams.num_heads}"
        )
    if hparams.head_size % 4:
        raise ConfigError(
            path, "kv_channels", "must be a multiple of 4: half of it is rotated in pairs"
        )


def hparams_from_gguf(get: Callable[[str], str | None], vocab_size: int) -> HParams:
    """The hyperparameters in a GGUF file's metadata.

    Args:
        get: gives the value of a key as text, None if there is no such key.
        vocab_size: number of the file's tokens: llama.cpp's own converter writes no key for it.

    Raises:
        KeyError: a key is missing; the error names it.
    """

    def value(key: str) -> str:
        found = get(f"{ARCHITECTURE}.{key}")
        if found is None:
            raise KeyError(key)
        return found

    num_heads, hidden_size = int(value("attention.head_count")), int(value("embedding_length"))
    return HParams(
        num_layers=int(value("block_count")),
        hidden_size=hidden_size,
        num_heads=num_heads,
        num_groups=int(value("attention.head_count_kv")),
        head_size=hidden_size // num_heads,
        ffn_size=int(value("feed_forward_length")),
        context_size=int(value("context_length")),
        vocab_size=vocab_size,
        norm_epsilon=float(value("attention.layer_norm_rms_epsilon")),
        rope_ratio=float(value("rope.freq_base")) / ROPE_BASE,
    )


def add_hparams(writer: GGUFWriter, hparams: HParams) -> None:
    """Write the hyperparameters to a GGUF file's metadata."""
    for key, value in hparams.to_gguf().items():
        if isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)
