"""Plan of an encoder's GGUF file, made of its checkpoint folder."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import GGUFWriter

from glm3edge_convert.checkpoint.quantization import check_config_is_unquantized
from glm3edge_convert.checkpoint.shards import PendingWeights
from glm3edge_convert.errors import UnknownTypeError
from glm3edge_convert.models.bert.hparams import XLM_ROBERTA, EncoderHParams, parse_hparams
from glm3edge_convert.models.bert.tensors import DROPPED, encoder_mappings, open_encoder
from glm3edge_convert.models.output_tensors import plan_tensors
from glm3edge_convert.plan import Plan
from glm3edge_convert.quantize.recipe import Recipe, get_recipe, tensor_type
from glm3edge_convert.tokenizer.unigram import read_unigram
from glm3edge_convert.tokenizer.wordpiece import read_wordpiece

ARCHITECTURE = "bert"
TYPES = ("f32", "f16", "bf16", "q8_0")  # smaller ones cost such small models too much
DEFAULT_TYPE = "f16"

FULL_PRECISION = {"position_embd.weight", "token_types.weight"}  # as llama.cpp's tools leave them
# In q8_0 these stay f16: three hundredths of the file, and half of the error (MiniLM-L6: the least
# cosine of 19 texts to the original is 0.9994 with them and 0.9988 without). So does a reranker's
# head (random models: a fifth of the error).
SENSITIVE = re.compile(r"blk\.\d+\.attn_v\.weight|cls\..*")


def make_plan(
    source: Path,
    config: Mapping[str, Any],
    type_name: str | None,
    pending: PendingWeights | None = None,
) -> Plan:
    """Read and check everything but the data; the weights are ``pending`` or in the folder.

    Raises:
        ConvertError: something is wrong with the folder, or it cannot have this type.
    """
    recipe, hparams = check_settings(source, config, type_name)
    tensors = plan_tensors(
        source, open_encoder(source, pending), encoder_mappings(hparams), dropped=DROPPED
    )
    read_vocabulary = read_unigram if config["model_type"] == XLM_ROBERTA else read_wordpiece
    vocabulary = read_vocabulary(source, hparams.vocab_size)

    def add_metadata(writer: GGUFWriter) -> None:
        hparams.add_to(writer)
        vocabulary.add_to(writer)

    types = [tensor_type(_recipe_of(t.name, recipe), t.name, t.shape, 0) for t in tensors]
    return Plan(ARCHITECTURE, recipe, tensors, types, add_metadata)


def check_settings(
    source: Path, config: Mapping[str, Any], type_name: str | None
) -> tuple[Recipe, EncoderHParams]:
    """Check all that can be checked without the weights.

    Returns:
        The output type and the model's sizes.

    Raises:
        ConvertError: config.json cannot be converted, or not to this type.
    """
    recipe = get_recipe(type_name or DEFAULT_TYPE)
    if recipe.name not in TYPES:
        raise UnknownTypeError(recipe.name, TYPES)
    check_config_is_unquantized(source, config)
    return recipe, parse_hparams(source, config)


def _recipe_of(name: str, recipe: Recipe) -> Recipe:
    """The output type whose types the tensor ``name`` gets."""
    if name in FULL_PRECISION:
        return get_recipe("f32")
    return get_recipe("f16") if recipe.is_quantized and SENSITIVE.fullmatch(name) else recipe
