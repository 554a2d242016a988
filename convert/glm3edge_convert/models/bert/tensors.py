"""Tensors of BERT and XLM-RoBERTa: names and shapes in the checkpoint and in GGUF."""

import re
from collections.abc import Iterator
from pathlib import Path

from gguf import PoolingType

from glm3edge_convert.checkpoint.shards import PendingWeights
from glm3edge_convert.checkpoint.weights import SourceTensor, open_tensors
from glm3edge_convert.models.bert.hparams import EncoderHParams
from glm3edge_convert.models.output_tensors import TensorMapping

# Names of a model with heads begin with the name of the model without.
PREFIX = re.compile(r"(bert|roberta)\.")
# Buffers, and heads that are not used; a reranker's is.
DROPPED = re.compile(
    r"embeddings\.position_ids|pooler\..*|cls\..*|lm_head\..*|classifier\..*|(colbert|sparse)_.*"
)
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def open_encoder(source: Path, pending: PendingWeights | None = None) -> dict[str, SourceTensor]:
    """The checkpoint's tensors, by the names that they have in a model without heads."""
    tensors = open_tensors(source) if pending is None else pending.tensors()
    return {_renamed(name): tensor for name, tensor in tensors.items()}


def _renamed(name: str) -> str:
    name = PREFIX.sub("", name, count=1) if PREFIX.match(name) else name
    for old, new in OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def encoder_mappings(hparams: EncoderHParams) -> Iterator[TensorMapping]:
    """The encoder's tensors in file order: embeddings, their norm, layers, a reranker's head."""

    def table(source_name: str, name: str, num_rows: int) -> TensorMapping:
        shape = (num_rows, hparams.hidden_size)
        return TensorMapping(f"embeddings.{source_name}.weight", f"{name}.weight", shape, shape)

    yield table("word_embeddings", "token_embd", hparams.vocab_size)
    yield table("token_type_embeddings", "token_types", hparams.num_types)
    yield TensorMapping(
        "embeddings.position_embeddings.weight",
        "position_embd.weight",
        (hparams.num_positions, hparams.hidden_size),
        (hparams.context_size, hparams.hidden_size),
        num_skipped=hparams.num_skipped,
    )
    yield from _pair("embeddings.LayerNorm", "token_embd_norm", hparams.hidden_size)
    for layer in range(hparams.num_layers):
        yield from _layer_mappings(f"encoder.layer.{layer}", f"blk.{layer}", hparams)
    if hparams.pooling is PoolingType.RANK:
        yield from _pair("classifier.dense", "cls", hparams.hidden_size, hparams.hidden_size)
        yield from _pair("classifier.out_proj", "cls.output", 1, hparams.hidden_size)


def _layer_mappings(old: str, new: str, hparams: EncoderHParams) -> Iterator[TensorMapping]:
    hidden, ffn = hparams.hidden_size, hparams.ffn_size
    for part in ("query", "key", "value"):
        yield from _pair(f"{old}.attention.self.{part}", f"{new}.attn_{part[0]}", hidden, hidden)
    yield from _pair(f"{old}.attention.output.dense", f"{new}.attn_output", hidden, hidden)
    yield from _pair(f"{old}.attention.output.LayerNorm", f"{new}.attn_output_norm", hidden)
    yield from _pair(f"{old}.intermediate.dense", f"{new}.ffn_up", ffn, hidden)
    yield from _pair(f"{old}.output.dense", f"{new}.ffn_down", hidden, ffn)
    yield from _pair(f"{old}.output.LayerNorm", f"{new}.layer_output_norm", hidden)


def _pair(source_name: str, name: str, *shape: int) -> Iterator[TensorMapping]:
    """A weight of ``shape``, and its bias, which has a value for each row."""
    yield TensorMapping(f"{source_name}.weight", f"{name}.weight", shape, shape)
    yield TensorMapping(f"{source_name}.bias", f"{name}.bias", shape[:1], shape[:1])
