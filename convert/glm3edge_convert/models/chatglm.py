"""ChatGLM3's checkpoint folder to the plan of its GGUF file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glm3edge_convert.adapters.merge import merge_adapters
from glm3edge_convert.adapters.prefix import PREFIX_ENCODER
from glm3edge_convert.checkpoint.architecture import check_architecture
from glm3edge_convert.checkpoint.chatglm_tensors import DROPPED, chatglm_mappings
from glm3edge_convert.checkpoint.hparams import ARCHITECTURE, HParams, parse_hparams
from glm3edge_convert.checkpoint.output_tensors import plan_tensors
from glm3edge_convert.checkpoint.tensors import open_tensors
from glm3edge_convert.errors import ImatrixError, UnsupportedPrefixError
from glm3edge_convert.plan import Plan
from glm3edge_convert.quantize.recipe import (
    DEFAULT_TYPE,
    Recipe,
    get_recipe,
    needs_importances,
    tensor_type,
)
from glm3edge_convert.tokenizer.vocab import (
    BOS_ID,
    EOS_ID,
    TOKENIZER_MODEL,
    TOKENIZER_PRE,
    UNK_ID,
    Vocabulary,
    read_vocabulary,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gguf import GGUFWriter

    from glm3edge_convert.adapters.scaled_path import ScaledPath
    from glm3edge_convert.checkpoint.tensors import SourceTensor
    from glm3edge_convert.quantize.imatrix import Imatrix


def make_plan(
    source: Path,
    config: Mapping[str, Any],
    type_name: str | None,
    *,
    adapters: Sequence[ScaledPath] = (),
    imatrix: Imatrix | None = None,
) -> Plan:
    """Read and check everything but the data, `adapters` merged in. Raises ConvertError."""
    if config.get("pre_seq_len"):
        _open_model(source)  # a prefix without its model lacks the tokenizer too
    recipe, hparams = check_settings(source, config, type_name, has_importances=imatrix is not None)
    tensors = plan_tensors(
        source,
        merge_adapters(_open_model(source), adapters),
        chatglm_mappings(hparams),
        dropped=DROPPED,
    )
    vocabulary = read_vocabulary(source, hparams.vocab_size)

    def add_metadata(writer: GGUFWriter) -> None:
        add_hparams(writer, hparams)
        _add_vocabulary(writer, vocabulary)

    types = [
        tensor_type(
            recipe,
            tensor.name,
            tensor.shape,
            hparams.num_layers,
            n_gqa=hparams.num_heads // hparams.num_groups,
            has_importances=imatrix is not None,
        )
        for tensor in tensors
    ]
    if imatrix is not None and recipe.is_quantized:
        imatrix = imatrix.fitted(
            {tensor.name: tensor.row_size for tensor in tensors if len(tensor.shape) == 2},
            needed=[
                tensor.name
                for tensor, its_type in zip(tensors, types, strict=True)
                if needs_importances(tensor.name, its_type)
            ],
            padded={hparams.ffn_size: hparams.padded_ffn_size},
        )
    return Plan(ARCHITECTURE, recipe, tensors, types, add_metadata, imatrix)


def _open_model(source: Path) -> dict[str, SourceTensor]:
    """The folder's tensors. Raises UnsupportedPrefixError for a prefix, with or without a model."""
    sources = open_tensors(source)
    for name, tensor in sources.items():
        if name.startswith(PREFIX_ENCODER):
            raise UnsupportedPrefixError(tensor.path, name)
    return sources


def check_settings(
    source: Path,
    config: Mapping[str, Any],
    type_name: str | None,
    *,
    has_importances: bool = False,
) -> tuple[Recipe, HParams]:
    """What can be told without the weights: output type and sizes. Raises ConvertError."""
    recipe = get_recipe(type_name or DEFAULT_TYPE)
    if recipe.needs_importances and not has_importances:
        raise ImatrixError(None, f"{recipe.name} needs an importance matrix")
    check_architecture(source, config)
    return recipe, parse_hparams(source, config)


def add_hparams(writer: GGUFWriter, hparams: HParams) -> None:
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
