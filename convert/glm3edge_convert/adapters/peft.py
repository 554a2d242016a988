"""LoRA adapter folders as PEFT saves them: adapter_config.json and adapter_model.safetensors.

For a matrix W of the model, (outputs, inputs), an adapter has A, (rank, inputs), and B, (outputs,
rank), and stands for W + scale x B A. ``scale`` is lora_alpha / r, with ``use_rslora`` lora_alpha /
sqrt(r); ``rank_pattern`` and ``alpha_pattern`` set r and lora_alpha of single modules. Tensors are
named ``base_model.model.<module>.lora_A.weight``. An adapted embedding has A and B for its
transpose: ``lora_embedding_A`` is (rank, tokens) and ``lora_embedding_B`` (width, rank)
(https://huggingface.co/docs/peft/developer_guides/checkpoint).

Besides, a folder may hold whole tensors, which replace the model's (``modules_to_save``, ``bias``),
and DoRA's magnitudes: a matrix then stands for W + scale x B A with each row stretched to
the length that its magnitude says. These can be merged into a model and not stand beside it. What
else there may be is refused by name, as are adapters that were trained on other weights than the
model's.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm3edge_convert.checkpoint.config import count, positive
from glm3edge_convert.checkpoint.json_files import read_object
from glm3edge_convert.checkpoint.weights import INDEX_SUFFIX, SourceTensor, open_tensors
from glm3edge_convert.errors import (
    AdapterTensorError,
    ConfigError,
    NotAnAdapterError,
    UnsupportedAdapterError,
)

CONFIG_FILE = "adapter_config.json"
WEIGHT_FILES = ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."
MATRIX = re.compile(
    r"(?P<module>.+)\.lora_(?P<embedding>embedding_)?(?P<letter>[AB])(\.default)?(\.weight)?"
)

MAGNITUDE = re.compile(r"(?P<module>.+)\.lora_magnitude_vector(\.default)?(\.weight)?")
WRAPPERS = re.compile(r"\.(base_layer|modules_to_save(\.default)?)(?=\.)")

MERGED_ONLY = {
    "use_dora": "DoRA scales every row of the matrix",
    "modules_to_save": "whole modules are replaced",
}
"""Options that can be merged into a model's weights and not be expressed by a GGUF adapter."""
REFUSED = {
    "use_qalora": "QALoRA pools the inputs in groups",
    "lora_bias": "it adds biases",
    "trainable_token_indices": "rows of the embedding are replaced",
    "layer_replication": "the model has other layers",
    "alora_invocation_tokens": "the adapter is on for a part of the prompt only",
}
"""Options that mean more than W + scale x B A, and what they mean."""
PROMPT_LEARNING = {
    "ADAPTION_PROMPT",
    "CPT",
    "MULTITASK_PROMPT_TUNING",
    "P_TUNING",
    "PREFIX_TUNING",
    "PROMPT_TUNING",
}
"""Kinds of adapters that add to the prompt and not to the weights."""
HEADS = ("classifier", "classifier_head", "score", "v_head")
"""Modules that models for classification or rewards have in place of the output layer."""
MERGE_HERE = "convert the model with --merge-lora and this folder"
KEEPING_INITS = {True, False, "gaussian", "eva", "orthogonal"}
"""Values of init_lora_weights that leave the model's own weights as they are."""


@dataclass(frozen=True)
class LoraPair:
    """The matrices A and B of one module.

    Attributes:
        module: the module's name in the checkpoint.
        a: of shape (rank, inputs); for an embedding the inputs are tokens.
        b: of shape (outputs, rank).
        scale: the factor of B A.
        is_embedding: whether A and B are for the transposed weight.
        magnitudes: doRA's, of shape (outputs,).
    """

    module: str
    a: SourceTensor
    b: SourceTensor
    scale: float
    is_embedding: bool = False
    magnitudes: SourceTensor | None = None

    @property
    def rank(self) -> int:
        return self.a.shape[0]

    @property
    def num_inputs(self) -> int:
        return self.a.shape[1]

    @property
    def num_outputs(self) -> int:
        return self.b.shape[0]

    @property
    def weight_shape(self) -> tuple[int, int]:
        """The shape of the checkpoint's tensor that the pair changes."""
        shape = self.num_outputs, self.num_inputs
        return shape[::-1] if self.is_embedding else shape


@dataclass(frozen=True)
class LoraAdapter:
    """Contents of an adapter folder.

    Attributes:
        pairs: loRA's matrices, in the order of their modules' names.
        replaced: whole tensors, by the names of the model's tensors that they replace.
    """

    pairs: list[LoraPair]
    replaced: dict[str, SourceTensor]

    @property
    def can_be_scaled(self) -> bool:
        """Whether all of its change is scale x B A."""
        return not self.replaced and not any(pair.magnitudes for pair in self.pairs)


def is_adapter(folder: Path) -> bool:
    """Whether PEFT saved an adapter to ``folder``."""
    return (folder / CONFIG_FILE).is_file()


def open_adapter(folder: Path, *, to_merge: bool) -> LoraAdapter:
    """Read an adapter folder's headers, and no data.

    Args:
        folder: the adapter folder.
        to_merge: whether it will be merged; otherwise what no GGUF adapter can express is refused.

    Raises:
        NotAnAdapterError: the folder holds no adapter.
        UnsupportedAdapterError: the adapter does what cannot be converted.
        CheckpointError: the adapter's files are damaged or contradict each other.
        MissingLibraryError: ``.bin`` weights need torch.
    """
    config = _read_config(folder)
    path = folder / CONFIG_FILE
    _check_supported(path, config)
    if not to_merge:
        _check_is_plain(path, config)
    modules: dict[str, dict[str, SourceTensor]] = {}
    replaced: dict[str, SourceTensor] = {}
    for name, tensor in open_tensors(folder, WEIGHT_FILES).items():
        if not name.startswith(PREFIX):
            raise AdapterTensorError(tensor.path, name, f"does not begin with {PREFIX}")
        inner = name.removeprefix(PREFIX)
        if inner.partition(".")[0] in HEADS:
            problem = "is a head for classification or rewards; give an adapter that generates text"
            raise AdapterTensorError(tensor.path, name, problem)
        if match := MATRIX.fullmatch(inner):
            part = f"{match['embedding'] or ''}{match['letter']}"
            modules.setdefault(match["module"], {})[part] = tensor
        elif match := MAGNITUDE.fullmatch(inner):
            modules.setdefault(match["module"], {})["magnitudes"] = tensor
        elif to_merge:
            replaced[WRAPPERS.sub("", inner)] = tensor
        else:
            problem = f"is not a LoRA matrix (lora_A or lora_B of a module); {MERGE_HERE}"
            raise AdapterTensorError(tensor.path, name, problem)
    if not modules and not replaced:
        raise NotAnAdapterError(folder, "its weights are empty")
    pairs = [_pair(path, config, module, modules[module]) for module in sorted(modules)]
    return LoraAdapter(pairs, replaced)


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise NotAnAdapterError(folder, "the folder does not exist")
    if not is_adapter(folder):
        raise NotAnAdapterError(folder, f"{CONFIG_FILE} is missing")
    files = [name + suffix for name in WEIGHT_FILES for suffix in ("", INDEX_SUFFIX)]
    if not any((folder / name).is_file() for name in files):
        raise NotAnAdapterError(folder, f"it has no {' or '.join(WEIGHT_FILES)}")
    return read_object(folder / CONFIG_FILE)


def _check_supported(path: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if isinstance(kind, str) and kind in PROMPT_LEARNING:
        meaning = "it adds to the prompt and not to the weights"
        remedy = "train LoRA, or ChatGLM3's own P-Tuning v2 (glm3edge serve --prefix)"
        raise UnsupportedAdapterError(path, "peft_type", kind, meaning, remedy=remedy)
    if kind != "LORA":
        raise UnsupportedAdapterError(path, "peft_type", kind, "only LORA adapters are supported")
    modules = config.get("modules_to_save")
    if isinstance(modules, list) and any(name in HEADS for name in modules):
        meaning, remedy = "it classifies or rewards", "give an adapter that generates text"
        raise UnsupportedAdapterError(path, "modules_to_save", modules, meaning, remedy=remedy)
    for key, meaning in REFUSED.items():
        if config.get(key):
            raise UnsupportedAdapterError(path, key, config[key], meaning)
    init = config.get("init_lora_weights", True)
    if not (init is None or (isinstance(init, bool | str) and init in KEEPING_INITS)):
        raise UnsupportedAdapterError(
            path, "init_lora_weights", init, "training began by changing the model's own weights"
        )


def _check_is_plain(path: Path, config: Mapping[str, Any]) -> None:
    for key, meaning in MERGED_ONLY.items():
        if config.get(key):
            raise UnsupportedAdapterError(path, key, config[key], meaning, remedy=MERGE_HERE)
    bias = config.get("bias", "none")
    if bias != "none":
        raise UnsupportedAdapterError(path, "bias", bias, "it changes biases", remedy=MERGE_HERE)


def _pair(
    path: Path, config: Mapping[str, Any], module: str, parts: Mapping[str, SourceTensor]
) -> LoraPair:
    is_embedding = any(part.startswith("embedding") for part in parts)
    prefix = "embedding_" if is_embedding else ""
    a, b = parts.get(f"{prefix}A"), parts.get(f"{prefix}B")
    if a is None or b is None:
        some = next(iter(parts.values()))
        other = "lora_A" if a is None else "lora_B"
        raise AdapterTensorError(some.path, some.name, f"has no {other} beside it")
    for tensor in (a, b):
        if len(tensor.shape) != 2 or 0 in tensor.shape:
            raise AdapterTensorError(tensor.path, tensor.name, "is not a matrix")
    rank = count(path, _for_module(path, config, "rank_pattern", "r", module), "r")
    for tensor, found in ((a, a.shape[0]), (b, b.shape[1])):
        if found != rank:
            raise AdapterTensorError(
                tensor.path, tensor.name, f"has rank {found} where {CONFIG_FILE} says {rank}"
            )
    magnitudes = _magnitudes(path, config, parts, b, is_embedding=is_embedding)
    return LoraPair(module, a, b, _scale(path, config, module, rank), is_embedding, magnitudes)


def _magnitudes(
    path: Path,
    config: Mapping[str, Any],
    parts: Mapping[str, SourceTensor],
    b: SourceTensor,
    *,
    is_embedding: bool,
) -> SourceTensor | None:
    magnitudes = parts.get("magnitudes")
    if bool(config.get("use_dora")) != (magnitudes is not None):
        raise AdapterTensorError(
            b.path, b.name, f"and {CONFIG_FILE} do not agree on whether this is DoRA (use_dora)"
        )
    if magnitudes is None:
        return None
    if is_embedding:
        raise UnsupportedAdapterError(path, "use_dora", True, "the embedding's columns are scaled")
    if magnitudes.shape != b.shape[:1]:
        raise AdapterTensorError(
            magnitudes.path,
            magnitudes.name,
            f"must have {b.shape[0]} values, one for each row of lora_B",
        )
    return magnitudes


def _scale(path: Path, config: Mapping[str, Any], module: str, rank: int) -> float:
    options = _for_module(path, config, "alpha_pattern", "lora_alpha", module)
    alpha = positive(path, options, "lora_alpha", default=8)  # PEFT's own default
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _for_module(
    path: Path, config: Mapping[str, Any], pattern_key: str, key: str, module: str
) -> Mapping[str, Any]:
    """``config``, with the ``key`` of the first pattern of ``pattern_key`` that fits the module."""
    patterns = config.get(pattern_key) or {}
    if not isinstance(patterns, dict):
        raise ConfigError(path, pattern_key, "must map names of modules to numbers")
    for pattern, value in patterns.items():
        try:
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                return {**config, key: value}
        except re.error as exc:
            problem = f"has a pattern that cannot be read: {pattern!r}"
            raise ConfigError(path, pattern_key, problem) from exc
    return config
