"""Tensors of ChatGLM3: names and shapes in the checkpoint and in GGUF, and their padding.

The width of ChatGLM3-6B, 13696, is not a multiple of 256, so llama.cpp's K-quants do not fit
ffn_down. Zero rows after the gate half and after the up half, and as many zero columns in the down
projection, add silu(0) x 0 = 0 to every sum: no logit changes, and every matrix fits.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from glm3edge_convert.checkpoint.weights import SourceTensor
from glm3edge_convert.errors import TensorShapeError
from glm3edge_convert.models.chatglm.hparams import HParams
from glm3edge_convert.models.output_tensors import TensorMapping

LAYER_PREFIX = "transformer.encoder.layers"
EMBEDDING = "transformer.embedding.word_embeddings.weight"
# Older checkpoints carry the rotary frequencies, which follow from config.json.
DROPPED = re.compile(r"transformer\.(rotary_pos_emb|encoder\.rotary_pos_emb)\.inv_freq")


def chatglm_mappings(hparams: HParams) -> Iterator[TensorMapping]:
    """ChatGLM3's tensors in file order: embedding, layers, output norm, output."""
    table = (hparams.vocab_size, hparams.hidden_size)
    norm = (hparams.hidden_size,)
    yield TensorMapping(EMBEDDING, "token_embd.weight", table, table)
    for layer in range(hparams.num_layers):
        yield from _layer_mappings(layer, hparams)
    yield TensorMapping(
        "transformer.encoder.final_layernorm.weight", "output_norm.weight", norm, norm
    )
    yield TensorMapping("transformer.output_layer.weight", "output.weight", table, table)


def fitted_mappings(
    sources: Mapping[str, SourceTensor], hparams: HParams, *, num_used: int = 0
) -> list[TensorMapping]:
    """The model's tensors in file order; the embedding may lack rows of ids that no token has.

    transformers' ``resize_token_embeddings(len(tokenizer))``, which is called once tokens were
    added, cuts these ids off, and leaves output layer and padded_vocab_size as they are.

    Args:
        sources: the checkpoint's tensors.
        hparams: the model's sizes.
        num_used: number of ids that tokens have.

    Raises:
        TensorShapeError: the embedding has other rows than the output layer.
    """
    embedding, *others = chatglm_mappings(hparams)
    found = sources.get(embedding.source_name)
    if found is None or found.shape[1:] != embedding.shape[1:]:
        return [embedding, *others]
    if not num_used <= found.shape[0] <= hparams.vocab_size:
        remedy = (
            f"the embedding was resized and the output layer was not: call "
            f"resize_token_embeddings({hparams.vocab_size}), and save the model again"
        )
        raise TensorShapeError(found.path, found.name, embedding.shape, found.shape, remedy=remedy)
    return [replace(embedding, source_shape=found.shape), *others]


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
