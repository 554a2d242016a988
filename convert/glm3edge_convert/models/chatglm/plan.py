"""Plan of ChatGLM3's GGUF file, made of its checkpoint folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType, GGUFWriter

from glm3edge_convert.adapters.merge import merge_adapters
from glm3edge_convert.adapters.peft import HEADS
from glm3edge_convert.adapters.peft import PREFIX as PEFT_PREFIX
from glm3edge_convert.adapters.prefix import PREFIX_ENCODER
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.checkpoint.shards import PendingWeights
from glm3edge_convert.checkpoint.weights import SourceTensor, open_tensors
from glm3edge_convert.errors import (
    AdapterTensorError,
    ImatrixError,
    UnsupportedArchitectureError,
    UnsupportedPrefixError,
)
from glm3edge_convert.models.chatglm.architecture import check_architecture
from glm3edge_convert.models.chatglm.hparams import (
    ARCHITECTURE,
    HParams,
    add_hparams,
    parse_hparams,
)
from glm3edge_convert.models.chatglm.tensors import DROPPED, fitted_mappings
from glm3edge_convert.models.output_tensors import OutputTensor, plan_tensors
from glm3edge_convert.plan import Plan
from glm3edge_convert.quantize.imatrix import Imatrix
from glm3edge_convert.quantize.recipe import (
    DEFAULT_TYPE,
    Recipe,
    get_recipe,
    needs_importances,
    tensor_type,
)
from glm3edge_convert.tokenizer.added_tokens import check_added_tokens
from glm3edge_convert.tokenizer.vocab import read_vocabulary


def make_plan(
    source: Path,
    config: Mapping[str, Any],
    type_name: str | None,
    *,
    adapters: Sequence[ScaledPath] = (),
    imatrix: Imatrix | None = None,
    pending: PendingWeights | None = None,
) -> Plan:
    """Read and check everything but the data, with ``adapters`` merged in.

    The weights are ``pending`` or, by default, in the folder.

    Raises:
        ConvertError: something is wrong with the folder, an adapter or the importance matrix.
    """
    if config.get("pre_seq_len"):
        _open_model(source, pending)  # a prefix without its model lacks the tokenizer too
    recipe, hparams = check_settings(source, config, type_name, has_importances=imatrix is not None)
    sources = merge_adapters(_open_model(source, pending), adapters)
    vocabulary = read_vocabulary(source, hparams.vocab_size)
    for folder in (source, *(adapter.path for adapter in adapters)):
        check_added_tokens(folder, vocabulary)
    mappings = fitted_mappings(sources, hparams, num_used=vocabulary.num_used)
    tensors = plan_tensors(source, sources, mappings, dropped=DROPPED)

    def add_metadata(writer: GGUFWriter) -> None:
        add_hparams(writer, hparams)
        vocabulary.add_to(writer)

    types = [
        tensor_type(
            recipe,
            tensor.name,
            tensor.shape,
            hparams.num_layers,
            n_gqa=hparams.n_gqa,
            has_importances=imatrix is not None,
        )
        for tensor in tensors
    ]
    if imatrix is not None and recipe.is_quantized:
        imatrix = _fitted_imatrix(imatrix, hparams, tensors, types)
    return Plan(ARCHITECTURE, recipe, tensors, types, add_metadata, imatrix)


def check_settings(
    source: Path,
    config: Mapping[str, Any],
    type_name: str | None,
    *,
    has_importances: bool = False,
) -> tuple[Recipe, HParams]:
    """Check all that can be checked without the weights.

    Returns:
        The output type and the model's sizes.

    Raises:
        ConvertError: the folder is no ChatGLM3 checkpoint, or cannot have this type.
    """
    recipe = get_recipe(type_name or DEFAULT_TYPE)
    if recipe.needs_importances and not has_importances:
        raise ImatrixError(None, f"{recipe.name} needs an importance matrix")
    check_architecture(source, config)
    return recipe, parse_hparams(source, config)


def _open_model(source: Path, pending: PendingWeights | None) -> dict[str, SourceTensor]:
    """The model's tensors.

    Raises:
        UnsupportedPrefixError: they hold a prefix, with or without a model.
        UnsupportedArchitectureError: they are of a model that classifies.
        AdapterTensorError: they hold an adapter and the model that it was not merged into.
    """
    sources = open_tensors(source) if pending is None else pending.tensors()
    for name, tensor in sources.items():
        if name.startswith(PREFIX_ENCODER):
            raise UnsupportedPrefixError(tensor.path, name)
        if name.startswith(PEFT_PREFIX):
            problem = "is of an adapter beside a model; save what PEFT's merge_and_unload() gives"
            raise AdapterTensorError(tensor.path, name, problem)
        if name.partition(".")[0] in HEADS:
            sign = f"it has the tensor {name}"
            raise UnsupportedArchitectureError(source, "a classifier or reward model", sign)
    return sources


def _fitted_imatrix(
    imatrix: Imatrix,
    hparams: HParams,
    tensors: Sequence[OutputTensor],
    types: Sequence[GGMLQuantizationType],
) -> Imatrix:
    return imatrix.fitted(
        {tensor.name: tensor.row_size for tensor in tensors if len(tensor.shape) == 2},
        needed=[
            tensor.name
            for tensor, its_type in zip(tensors, types, strict=True)
            if needs_importances(tensor.name, its_type)
        ],
        padded={hparams.ffn_size: hparams.padded_ffn_size},
    )
