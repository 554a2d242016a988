"""ChatGLM3's forward pass in NumPy, from a checkpoint folder, in bounded memory.

Sequences are computed in groups of GROUP_TOKENS tokens. A group goes through the network a layer at
a time, and each matrix is read and used in slabs of SLAB_BYTES, so that no more than a slab of the
weights is ever in memory, whatever the length of the text. Each group reads the whole checkpoint
once, 12 GB for the 6B, and computes 12 GFLOP a token.

Measured on two layers of the 6B shape, on one core: 0.38 GB of memory at the most, 7 s for 512
tokens, 2 s of them for each layer; so about a minute for 28 layers.

Sums are in float32, angles in float64. The code shares nothing with the runtime, and with the
converter only the reader of the checkpoint's files and their check.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.checkpoint.weights import SourceTensor, open_tensors
from glm3edge_convert.models.chatglm.architecture import check_architecture
from glm3edge_convert.models.chatglm.hparams import HParams, parse_hparams
from glm3edge_convert.models.chatglm.tensors import DROPPED, fitted_mappings
from glm3edge_convert.models.output_tensors import plan_tensors

GROUP_TOKENS = 2048
SLAB_BYTES = 64 * 2**20
_ROPE_BASE = 10000.0

Array = NDArray[np.float32]


class Reference:
    """Forward pass of a checkpoint. Only the headers of its files are kept in memory."""

    def __init__(self, folder: Path) -> None:
        """Open the checkpoint in ``folder``.

        Raises:
            ConvertError: it is no checkpoint of ChatGLM3, or damaged.
        """
        config = read_config(folder)
        check_architecture(folder, config)
        self.hparams: HParams = parse_hparams(folder, config)
        self._tensors: Mapping[str, SourceTensor] = open_tensors(folder)
        mappings = fitted_mappings(self._tensors, self.hparams)
        plan_tensors(folder, self._tensors, mappings, dropped=DROPPED)

    def logits(self, sequences: Sequence[Sequence[int]], num_last: int) -> Iterator[Array]:
        """Compute the logits after the last tokens of each of ``sequences``, all of one length.

        Yields:
            ``[num_last, vocab_size]``.

        Raises:
            CheckpointError: a file cannot be read to its end.
        """
        per_group = max(1, GROUP_TOKENS // len(sequences[0]))
        for start in range(0, len(sequences), per_group):
            for states in self._hidden_states(sequences[start : start + per_group]):
                yield self._project("transformer.output_layer.weight", states[-num_last:])

    def _hidden_states(self, sequences: Sequence[Sequence[int]]) -> Array:
        """Hidden states after the last norm, ``[len(sequences), length, hidden_size]``."""
        x = self._embed(np.array(sequences))
        for layer in range(self.hparams.num_layers):
            prefix = f"transformer.encoder.layers.{layer}"
            x += self._attend(prefix, self._norm(f"{prefix}.input_layernorm.weight", x))
            x += self._feed(prefix, self._norm(f"{prefix}.post_attention_layernorm.weight", x))
        return self._norm("transformer.encoder.final_layernorm.weight", x)

    def _embed(self, token_ids: NDArray[np.int64]) -> Array:
        table = self._tensors["transformer.embedding.word_embeddings.weight"]
        distinct, places = np.unique(token_ids, return_inverse=True)
        rows = np.concatenate([table.rows(token_id, token_id + 1) for token_id in distinct])
        return np.asarray(rows[places.reshape(token_ids.shape)])

    def _attend(self, prefix: str, x: Array) -> Array:
        size, num_heads, num_groups = self._head_sizes
        qkv = self._project(f"{prefix}.self_attention.query_key_value.weight", x)
        qkv += self._vector(f"{prefix}.self_attention.query_key_value.bias")
        heads = qkv.reshape(*x.shape[:2], -1, size)
        self._rotate(heads[..., : num_heads + num_groups, :])
        mixed = np.empty((*x.shape[:2], num_heads * size), np.float32)
        for sequence, out in zip(heads, mixed, strict=True):
            _mix(sequence, num_heads, num_groups, out)
        return self._project(f"{prefix}.self_attention.dense.weight", mixed)

    @property
    def _head_sizes(self) -> tuple[int, int, int]:
        return self.hparams.head_size, self.hparams.num_heads, self.hparams.num_groups

    def _rotate(self, heads: Array) -> None:
        """Rotary embedding: turn the first half of each head's dimensions, in pairs (2i, 2i + 1).

        ``heads`` is ``[sequences, length, heads, head_size]``, and is overwritten.
        """
        half = self.hparams.head_size // 2
        base = _ROPE_BASE * self.hparams.rope_ratio
        angles = np.arange(heads.shape[1])[:, None] / base ** (np.arange(0, half, 2) / half)
        turns = np.exp(1j * angles)[:, None].astype(np.complex64)
        pairs = np.ascontiguousarray(heads[..., :half]).view(np.complex64)
        heads[..., :half] = (pairs * turns).view(np.float32)

    def _feed(self, prefix: str, x: Array) -> Array:
        up_name = f"{prefix}.mlp.dense_h_to_4h.weight"
        size = self.hparams.ffn_size
        inner = np.empty((*x.shape[:2], size), np.float32)
        for start, stop in self._slabs(up_name, size):
            weight = self._tensors[up_name]
            gate = x @ weight.rows(start, stop).T
            with np.errstate(over="ignore"):  # 1 / infinity is the 0 that is meant
                gate /= 1 + np.exp(-gate)
            gate *= x @ weight.rows(size + start, size + stop).T
            inner[..., start:stop] = gate
        return self._project(f"{prefix}.mlp.dense_4h_to_h.weight", inner)

    def _project(self, name: str, x: Array) -> Array:
        """``x`` times the transposed matrix ``name``: ``[..., rows of the matrix]``."""
        weight = self._tensors[name]
        out = np.empty((*x.shape[:-1], weight.shape[0]), np.float32)
        for start, stop in self._slabs(name, weight.shape[0]):
            out[..., start:stop] = x @ weight.rows(start, stop).T
        return out

    def _slabs(self, name: str, num_rows: int) -> Iterator[tuple[int, int]]:
        row_bytes = 4 * math.prod(self._tensors[name].shape[1:])
        step = max(1, SLAB_BYTES // row_bytes)
        for start in range(0, num_rows, step):
            yield start, min(start + step, num_rows)

    def _norm(self, name: str, x: Array) -> Array:
        mean_square = np.mean(np.square(x), axis=-1, keepdims=True)
        scale = 1 / np.sqrt(mean_square + np.float32(self.hparams.norm_epsilon))
        return np.asarray(x * scale * self._vector(name))

    def _vector(self, name: str) -> Array:
        return self._tensors[name].rows(0, self._tensors[name].shape[0])


def _mix(heads: Array, num_heads: int, num_groups: int, out: Array) -> None:
    """Causal softmax attention of one sequence.

    ``heads`` is ``[length, queries then keys then values, head_size]``; ``out`` is filled,
    ``[length, num_heads * head_size]``.
    """
    length, _, size = heads.shape
    future = np.triu(np.full((length, length), -np.inf, np.float32), 1)
    for head in range(num_heads):
        group = head // (num_heads // num_groups)
        query = heads[:, head]
        key, value = heads[:, num_heads + group], heads[:, num_heads + num_groups + group]
        scores = query @ key.T / np.float32(math.sqrt(size)) + future
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        out[:, head * size : (head + 1) * size] = scores @ value
