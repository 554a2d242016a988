"""ChatGLM3's forward pass in NumPy, straight from a checkpoint folder.

Written from the architecture's description, without the converter's code: weights come through the
safetensors library, sizes from config.json.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import deserialize

Array = NDArray[np.float64]
STORAGE = {"F16": "<f2", "BF16": "<u2", "F32": "<f4"}


def load_weights(checkpoint: Path) -> dict[str, Array]:
    """All tensors by name, in float64."""
    weights = {}
    for path in checkpoint.glob("*.safetensors"):
        for name, info in deserialize(path.read_bytes()):  # type: ignore[no-untyped-call]
            raw = np.frombuffer(info["data"], STORAGE[info["dtype"]])
            if info["dtype"] == "BF16":
                raw = (raw.astype(np.uint32) << 16).view(np.float32)
            weights[name] = raw.reshape(info["shape"]).astype(np.float64)
    return weights


class Model:
    """A checkpoint's weights, ready to run."""

    def __init__(self, checkpoint: Path) -> None:
        self._config = json.loads((checkpoint / "config.json").read_text("utf-8"))
        self._weights = load_weights(checkpoint)
        self.num_tokens: int = self._config["padded_vocab_size"]

    def logits(
        self, tokens: Sequence[int], prefix: Sequence[tuple[Array, Array]] | None = None
    ) -> Array:
        """Logits of one sequence, shape (len(tokens), num_tokens).

        ``prefix`` are keys and values of each layer, (places, groups, kv_channels), that stand at
        no position before the tokens'.
        """
        config, weights = self._config, self._weights
        x = weights["transformer.embedding.word_embeddings.weight"][list(tokens)]
        for index in range(config["num_layers"]):
            layer = self._layer(index)
            normed = _norm(config, x, layer["input_layernorm.weight"])
            x = x + _attention(config, layer, normed, prefix[index] if prefix else None)
            x = x + _mlp(layer, _norm(config, x, layer["post_attention_layernorm.weight"]))
        x = _norm(config, x, weights["transformer.encoder.final_layernorm.weight"])
        logits: Array = x @ weights["transformer.output_layer.weight"].T
        return logits

    def _layer(self, index: int) -> dict[str, Array]:
        prefix = f"transformer.encoder.layers.{index}."
        return {
            name.removeprefix(prefix): value
            for name, value in self._weights.items()
            if name.startswith(prefix)
        }


def _norm(config: dict[str, Any], x: Array, weight: Array) -> Array:
    mean_square = np.mean(x * x, axis=-1, keepdims=True)
    normed: Array = x / np.sqrt(mean_square + config["layernorm_epsilon"]) * weight
    return normed


def _attention(
    config: dict[str, Any], layer: dict[str, Array], x: Array, past: tuple[Array, Array] | None
) -> Array:
    heads, groups = config["num_attention_heads"], config["multi_query_group_num"]
    size, length = config["kv_channels"], len(x)
    qkv = x @ layer["self_attention.query_key_value.weight"].T
    qkv = (qkv + layer["self_attention.query_key_value.bias"]).reshape(length, -1, size)
    base = 10000 * config.get("rope_ratio", 1)
    query = _rotate(qkv[:, :heads], base)
    key = _rotate(qkv[:, heads : heads + groups], base)
    value = qkv[:, heads + groups :]
    if past is not None:
        key, value = (np.concatenate(pair) for pair in zip(past, (key, value), strict=True))
    key, value = key.repeat(heads // groups, axis=1), value.repeat(heads // groups, axis=1)
    scores = np.einsum("qhd,khd->hqk", query, key) / np.sqrt(size)
    scores += np.triu(np.full((length, len(key)), -np.inf), 1 + len(key) - length)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    mixed = np.einsum("hqk,khd->qhd", scores, value).reshape(length, -1)
    out: Array = mixed @ layer["self_attention.dense.weight"].T
    return out


def _rotate(x: Array, base: float) -> Array:
    """Rotate the first half of each head's dimensions in interleaved pairs."""
    half = x.shape[-1] // 2
    angles = np.arange(len(x))[:, None] / base ** (np.arange(0, half, 2) / half)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    even, odd = x[..., 0:half:2], x[..., 1:half:2]
    out: Array = x.copy()
    out[..., 0:half:2] = even * cos - odd * sin
    out[..., 1:half:2] = odd * cos + even * sin
    return out


def _mlp(layer: dict[str, Array], x: Array) -> Array:
    gate, up = np.split(x @ layer["mlp.dense_h_to_4h.weight"].T, 2, axis=-1)
    out: Array = (gate / (1 + np.exp(-gate)) * up) @ layer["mlp.dense_4h_to_h.weight"].T
    return out
