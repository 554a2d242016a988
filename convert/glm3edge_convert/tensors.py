"""From a checkpoint's tensors to the output's: names, shapes, and rows that are padded or left out.

ChatGLM3's own mapping is here too. Its feed-forward width, 13696, is not a multiple of 256, so
llama.cpp's K-quants do not fit ffn_down. Zero rows after the gate half and after the up half, and
as many zero columns in the down projection, add silu(0) x 0 = 0 to every sum: no logit changes, and
every matrix fits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glm3edge_convert.errors import MissingTensorError, TensorShapeError, UnexpectedTensorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from glm3edge_convert.hparams import HParams
    from glm3edge_convert.source import SourceTensor

LAYER_PREFIX = "transformer.encoder.layers"
# Older checkpoints carry the rotary frequencies, which follow from config.json.
DROPPED = re.compile(r"transformer\.(rotary_pos_emb|encoder\.rotary_pos_emb)\.inv_freq")


@dataclass(frozen=True)
class OutputTensor:
    """A GGUF tensor: `shape` is (rows, row length) or (length,), rows read from `source`.

    The source's rows are in `num_parts` equal parts (gate and up: 2); each part is padded with
    zero rows, and each row with zero columns, to fill `shape`. The first `num_skipped` rows of the
    source, and those that `shape` has no room for, are left out.
    """

    name: str
    shape: tuple[int, ...]
    source: SourceTensor
    num_parts: int = 1
    num_skipped: int = 0

    @property
    def num_rows(self) -> int:
        return self.shape[0] if len(self.shape) == 2 else 1

    @property
    def row_size(self) -> int:
        return self.shape[-1]

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop), float32 of shape (stop - start, row_size)."""
        if len(self.shape) == 1:
            return self.source.rows(0, self.row_size).reshape(1, self.row_size)
        out = np.zeros((stop - start, self.row_size), np.float32)
        for part in range(self.num_parts):
            self._copy_part(part, start, stop, out)
        return out

    def _copy_part(self, part: int, start: int, stop: int, out: NDArray[np.float32]) -> None:
        """Copy those source rows of a part that fall into output rows [start, stop)."""
        part_size = self.num_rows // self.num_parts
        source_part_size = (self.source.shape[0] - self.num_skipped) // self.num_parts
        shift = part * (part_size - source_part_size)  # from source row to output row
        first = max(start, part * part_size)
        last = min(stop, part * part_size + source_part_size)
        if first < last:
            skip = self.num_skipped - shift
            values = self.source.rows(first + skip, last + skip)
            out[first - start : last - start, : values.shape[1]] = values


@dataclass(frozen=True)
class TensorMapping:
    """A tensor of the checkpoint and what becomes of it; see OutputTensor."""

    source_name: str
    name: str
    source_shape: tuple[int, ...]
    shape: tuple[int, ...]
    num_parts: int = 1
    num_skipped: int = 0


def plan_tensors(
    folder: Path,
    sources: Mapping[str, SourceTensor],
    mappings: Iterable[TensorMapping],
    *,
    dropped: re.Pattern[str] = DROPPED,
) -> list[OutputTensor]:
    """The output's tensors in the order of `mappings`; tensors of `dropped` names are left out.

    Raises MissingTensorError, TensorShapeError, UnexpectedTensorError.
    """
    outputs, used = [], set()
    for mapping in mappings:
        source = sources.get(mapping.source_name)
        if source is None:
            raise MissingTensorError(folder, mapping.source_name)
        if source.shape != mapping.source_shape:
            raise TensorShapeError(source.path, source.name, mapping.source_shape, source.shape)
        used.add(mapping.source_name)
        outputs.append(
            OutputTensor(
                mapping.name, mapping.shape, source, mapping.num_parts, mapping.num_skipped
            )
        )
    for name, source in sources.items():
        if name not in used and not dropped.fullmatch(name):
            raise UnexpectedTensorError(source.path, name)
    return outputs


def chatglm_mappings(hparams: HParams) -> Iterator[TensorMapping]:
    """ChatGLM3's tensors in file order: embedding, layers, output norm, output."""
    table = (hparams.vocab_size, hparams.hidden_size)
    norm = (hparams.hidden_size,)
    yield TensorMapping(
        "transformer.embedding.word_embeddings.weight", "token_embd.weight", table, table
    )
    for layer in range(hparams.num_layers):
        yield from _layer_mappings(layer, hparams)
    yield TensorMapping(
        "transformer.encoder.final_layernorm.weight", "output_norm.weight", norm, norm
    )
    yield TensorMapping("transformer.output_layer.weight", "output.weight", table, table)


def _layer_mappings(layer: int, hparams: HParams) -> Iterator[TensorMapping]:
    def same(source_name: str, name: str, *shape: int) -> TensorMapping:
        return TensorMapping(f"{old}.{source_name}", f"{new}.{name}", shape, shape)

    old, new = f"{LAYER_PREFIX}.{layer}", f"blk.{layer}"
    hidden, ffn, padded = hparams.hidden_size, hparams.ffn_size, hparams.padded_ffn_size
    yield same("input_layernorm.weight", "attn_norm.weight", hidden)
    yield same("self_attention.query_key_value.weight", "attn_qkv.weight", hparams.qkv_size, hidden)
    yield same("self_attention.query_key_value.bias", "attn_qkv.bias", hparams.qkv_size)
    yield same("self_attention.dense.weight", "attn_output.weight", hidden, hidden)
    yield same("post_attention_layernorm.weight", "ffn_norm.weight", hidden)
    yield TensorMapping(
        f"{old}.mlp.dense_h_to_4h.weight",
        f"{new}.ffn_up.weight",
        (2 * ffn, hidden),
        (2 * padded, hidden),
        num_parts=2,
    )
    yield TensorMapping(
        f"{old}.mlp.dense_4h_to_h.weight", f"{new}.ffn_down.weight", (hidden, ffn), (hidden, padded)
    )
