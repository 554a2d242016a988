"""ChatGLM3's checkpoint folder to the plan of its GGUF file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glm3edge_convert.architecture import check_architecture
from glm3edge_convert.hparams import ARCHITECTURE, HParams, parse_hparams
from glm3edge_convert.plan import Plan
from glm3edge_convert.recipe import DEFAULT_TYPE, Recipe, get_recipe, tensor_type
from glm3edge_convert.source import open_tensors
from glm3edge_convert.tensors import chatglm_mappings, plan_tensors
from glm3edge_convert.vocab import (
    BOS_ID,
    EOS_ID,
    TOKENIZER_MODEL,
    TOKENIZER_PRE,
    UNK_ID,
    Vocabulary,
    read_vocabulary,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gguf import GGUFWriter


def make_plan(source: Path, config: Mapping[str, Any], type_name: str | None) -> Plan:
    """Read and check everything but the data. Raises ConvertError."""
    recipe, hparams = check_settings(source, config, type_name)
    tensors = plan_tensors(source, open_tensors(source), chatglm_mappings(hparams))
    vocabulary = read_vocabulary(source, hparams.vocab_size)

    def add_metadata(writer: GGUFWriter) -> None:
        _add_hparams(writer, hparams)
        _add_vocabulary(writer, vocabulary)

    return Plan(
        ARCHITECTURE,
        recipe,
        tensors,
        [tensor_type(recipe, t.name, t.shape, hparams.num_layers) for t in tensors],
        add_metadata,
    )


def check_settings(
    source: Path, config: Mapping[str, Any], type_name: str | None
) -> tuple[Recipe, HParams]:
    """What can be told without the weights: output type and sizes. Raises ConvertError."""
    recipe = get_recipe(type_name or DEFAULT_TYPE)
    check_architecture(source, config)
    return recipe, parse_hparams(source, config)


def _add_hparams(writer: GGUFWriter, hparams: HParams) -> None:
    for key, value in hparams.to_gguf().items():
        if isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)


def _add_vocabulary(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(TOKENIZER_MODEL)
    writer.add_tokenizer_pre(TOKENIZER_PRE)
    writer.add_token_list([token.text for token in vocabulary.tokens])
    writer.add_token_scores([token.score for token in vocabulary.tokens])
    writer.add_token_types([int(token.type) for token in vocabulary.tokens])
    writer.add_bos_token_id(BOS_ID)
    writer.add_eos_token_id(EOS_ID)
    # A reply also ends where the next turn or a tool's result begins.
    writer.add_eot_token_id(vocabulary.id_of("<|user|>"))
    writer.add_eom_token_id(vocabulary.id_of("<|observation|>"))
    writer.add_unk_token_id(UNK_ID)
    writer.add_pad_token_id(UNK_ID)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(vocabulary.add_space_prefix)
