"""Encoders for embeddings: a folder of BERT or XLM-RoBERTa to the plan of its GGUF file.

llama.cpp computes both as its architecture `bert`. What the sentence-transformers library knows of
such a folder goes along: how token vectors are pooled (`modules.json`) and how long a text may be
(`sentence_bert_config.json`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gguf import PoolingType

from glm3edge_convert.checkpoint.config_values import check_options, count, positive
from glm3edge_convert.checkpoint.hparams import CONFIG_FILE
from glm3edge_convert.checkpoint.json_files import read_array, read_object
from glm3edge_convert.checkpoint.output_tensors import TensorMapping, plan_tensors
from glm3edge_convert.checkpoint.tensors import open_tensors
from glm3edge_convert.errors import ConfigError, UnknownTypeError
from glm3edge_convert.plan import Plan
from glm3edge_convert.quantize.recipe import get_recipe, tensor_type
from glm3edge_convert.tokenizer.unigram import read_unigram
from glm3edge_convert.tokenizer.wordpiece import read_wordpiece

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gguf import GGUFWriter

    from glm3edge_convert.checkpoint.tensors import SourceTensor
    from glm3edge_convert.quantize.recipe import Recipe

BERT, XLM_ROBERTA = "bert", "xlm-roberta"
MODEL_TYPES = (BERT, XLM_ROBERTA)
ARCHITECTURE = "bert"
TYPES = ("f32", "f16", "bf16", "q8_0")  # smaller ones cost such small models too much
DEFAULT_TYPE = "f16"

# Options that llama.cpp's graph does not have, with the only value it computes.
FIXED_OPTIONS = {"hidden_act": "gelu", "position_embedding_type": "absolute"}
# Whose vectors they are added to, and heads that embeddings do not need.
PREFIX = re.compile(r"(bert|roberta)\.")
DROPPED = re.compile(
    r"embeddings\.position_ids|pooler\..*|cls\..*|lm_head\..*|classifier\..*|(colbert|sparse)_.*"
)
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
FULL_PRECISION = {"position_embd.weight", "token_types.weight"}  # as llama.cpp's tools leave them
# In q8_0 these stay f16: three hundredths of the file, and half of the error (MiniLM-L6: the least
# cosine of 19 texts to the original is 0.9994 with them and 0.9988 without).
SENSITIVE = re.compile(r"blk\.\d+\.attn_v\.weight")

MODULES_FILE, LIMITS_FILE = "modules.json", "sentence_bert_config.json"
POOLING_MODES = {
    "pooling_mode_mean_tokens": PoolingType.MEAN,
    "pooling_mode_mean": PoolingType.MEAN,
    "pooling_mode_cls_token": PoolingType.CLS,
    "pooling_mode_cls": PoolingType.CLS,
    "pooling_mode_lasttoken": PoolingType.LAST,
}
MODULE_PATH = re.compile(r"|[\w-]+")  # of the network: nothing but a name within the folder
KNOWN_MODULES = {"Transformer", "Pooling", "Normalize"}


@dataclass(frozen=True)
class EncoderHParams:
    """Sizes of an encoder. The first `num_skipped` rows of the position table are never used."""

    num_layers: int
    hidden_size: int
    num_heads: int
    ffn_size: int
    vocab_size: int
    num_types: int
    num_positions: int
    num_skipped: int
    context_size: int
    norm_epsilon: float
    pooling: PoolingType

    def add_to(self, writer: GGUFWriter) -> None:
        """Write the sizes as llama.cpp reads them."""
        writer.add_context_length(self.context_size)
        writer.add_embedding_length(self.hidden_size)
        writer.add_feed_forward_length(self.ffn_size)
        writer.add_block_count(self.num_layers)
        writer.add_head_count(self.num_heads)
        writer.add_layer_norm_eps(self.norm_epsilon)
        writer.add_causal_attention(False)
        writer.add_pooling_type(self.pooling)
        writer.add_token_type_count(self.num_types)


def make_plan(source: Path, config: Mapping[str, Any], type_name: str | None) -> Plan:
    """Read and check everything but the data. Raises ConvertError."""
    recipe, hparams = check_settings(source, config, type_name)
    tensors = plan_tensors(source, _open_renamed(source), _mappings(hparams), dropped=DROPPED)
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
    """What can be told without the weights: output type and sizes. Raises ConvertError."""
    recipe = get_recipe(type_name or DEFAULT_TYPE)
    if recipe.name not in TYPES:
        raise UnknownTypeError(recipe.name, TYPES)
    return recipe, parse_hparams(source, config)


def _recipe_of(name: str, recipe: Recipe) -> Recipe:
    """What a tensor is stored as."""
    if name in FULL_PRECISION:
        return get_recipe("f32")
    return get_recipe("f16") if recipe.is_quantized and SENSITIVE.fullmatch(name) else recipe


def parse_hparams(folder: Path, config: Mapping[str, Any]) -> EncoderHParams:
    """Check types, ranges and relations of `config`. Raises ConfigError naming the key."""
    path = folder / CONFIG_FILE
    check_options(path, config, FIXED_OPTIONS)
    hidden_size = count(path, config, "hidden_size")
    num_heads = count(path, config, "num_attention_heads")
    if hidden_size % num_heads:
        raise ConfigError(path, "num_attention_heads", f"must divide hidden_size {hidden_size}")
    # RoBERTa counts positions from the one after its padding token's id.
    is_roberta = config["model_type"] == XLM_ROBERTA
    num_skipped = count(path, config, "pad_token_id", default=1) + 1 if is_roberta else 0
    num_positions = count(path, config, "max_position_embeddings")
    if num_positions <= num_skipped:
        raise ConfigError(path, "max_position_embeddings", f"must be more than {num_skipped}")
    return EncoderHParams(
        num_layers=count(path, config, "num_hidden_layers"),
        hidden_size=hidden_size,
        num_heads=num_heads,
        ffn_size=count(path, config, "intermediate_size"),
        vocab_size=count(path, config, "vocab_size"),
        num_types=count(path, config, "type_vocab_size", default=1),
        num_positions=num_positions,
        num_skipped=num_skipped,
        context_size=_context_size(folder, num_positions - num_skipped),
        norm_epsilon=positive(path, config, "layer_norm_eps", default=1e-12),
        pooling=_pooling(folder),
    )


def _context_size(folder: Path, num_positions: int) -> int:
    """Tokens of a text: as many as there are positions, or as the model was trained with."""
    path = folder / LIMITS_FILE
    if not path.is_file():
        return num_positions
    limits = read_object(path)
    if limits.get("max_seq_length") is None:
        return num_positions
    return min(num_positions, count(path, limits, "max_seq_length"))


def _pooling(folder: Path) -> PoolingType:
    """How the vectors of tokens become one; their mean, if the folder does not say."""
    path = folder / MODULES_FILE
    if not path.is_file():
        return PoolingType.MEAN
    pooling = PoolingType.MEAN
    for module in read_array(path):
        match module:
            case {"type": str(kind), "path": str(name)} if MODULE_PATH.fullmatch(name):
                kind = kind.rpartition(".")[2]
            case _:
                raise ConfigError(path, "modules", "are not what sentence-transformers writes")
        if kind not in KNOWN_MODULES:
            raise ConfigError(path, kind, "is a module that llama.cpp does not have")
        if kind == "Pooling":
            pooling = _pooling_mode(folder / name / CONFIG_FILE)
    return pooling


def _pooling_mode(path: Path) -> PoolingType:
    config = read_object(path)
    prefix = "pooling_mode"
    chosen = [key for key, value in config.items() if key.startswith(prefix + "_") and value]
    chosen += [f"{prefix}_{config[prefix]}"] if prefix in config else []
    if len(chosen) != 1 or chosen[0] not in POOLING_MODES:
        problem = (
            f"is {' and '.join(chosen) or 'not told'}; mean, cls or lasttoken can be converted"
        )
        raise ConfigError(path, prefix, problem)
    return POOLING_MODES[chosen[0]]


def _open_renamed(source: Path) -> dict[str, SourceTensor]:
    """The checkpoint's tensors by the names that they have in a model without heads."""
    return {_renamed(name): tensor for name, tensor in open_tensors(source).items()}


def _renamed(name: str) -> str:
    name = PREFIX.sub("", name, count=1) if PREFIX.match(name) else name
    for old, new in OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _mappings(hparams: EncoderHParams) -> Iterator[TensorMapping]:
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
    """A weight of `shape`, and a bias as long as its rows are many."""
    yield TensorMapping(f"{source_name}.weight", f"{name}.weight", shape, shape)
    yield TensorMapping(f"{source_name}.bias", f"{name}.bias", shape[:1], shape[:1])
