"""Hyperparameters of BERT and XLM-RoBERTa, read from config.json and sentence-transformers' files.

What the sentence-transformers library knows of a folder goes along: how token vectors are pooled
(``modules.json``) and how long a text may be (``sentence_bert_config.json``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, PoolingType

from glm3edge_convert.checkpoint.config import (
    CONFIG_FILE,
    MAX_LAYERS,
    check_options,
    count,
    positive,
)
from glm3edge_convert.checkpoint.json_files import read_array, read_object
from glm3edge_convert.errors import ConfigError, ConvertError

BERT, XLM_ROBERTA = "bert", "xlm-roberta"
MODEL_TYPES = (BERT, XLM_ROBERTA)

# How transformers names a model with a classification head, in "architectures".
HEAD_SUFFIX = "ForSequenceClassification"
DEFAULT_NUM_LABELS = 2  # of transformers

# Options that llama.cpp's graph does not have, with the only value it computes.
FIXED_OPTIONS = {"hidden_act": "gelu", "position_embedding_type": "absolute"}

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


class UnsupportedRerankerError(ConvertError):
    """A checkpoint with a classification head that llama.cpp cannot rerank with."""

    exit_code = 4

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path} {problem}; rerankers of XLM-RoBERTa (bge-reranker) can be converted"
        )
        self.path = path


@dataclass(frozen=True)
class EncoderHParams:
    """Sizes of an encoder, and how token vectors are pooled.

    A reranker's pooling is RANK: its classification head makes one number of the first vector.

    Attributes:
        num_positions: rows of the checkpoint's position table.
        num_skipped: rows at its beginning that are never used.
        context_size: tokens of a text.
    """

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
        """Write the sizes to a GGUF file's metadata."""
        writer.add_context_length(self.context_size)
        writer.add_embedding_length(self.hidden_size)
        writer.add_feed_forward_length(self.ffn_size)
        writer.add_block_count(self.num_layers)
        writer.add_head_count(self.num_heads)
        writer.add_layer_norm_eps(self.norm_epsilon)
        writer.add_causal_attention(False)
        writer.add_pooling_type(self.pooling)
        writer.add_token_type_count(self.num_types)


def is_reranker(config: Mapping[str, Any]) -> bool:
    """Whether the encoder that config.json describes has a classification head."""
    names = config.get("architectures")
    return isinstance(names, list) and any(str(name).endswith(HEAD_SUFFIX) for name in names)


def parse_hparams(folder: Path, config: Mapping[str, Any]) -> EncoderHParams:
    """Parse the config.json of ``folder``, checking types, ranges and relations of its values.

    Raises:
        ConfigError: a value cannot be; the error names its key.
        DamagedFileError: another of the folder's JSON files is not what it should be.
    """
    path = folder / CONFIG_FILE
    check_options(path, config, FIXED_OPTIONS)
    if is_reranker(config):
        _check_head(folder, config)
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
        num_layers=count(path, config, "num_hidden_layers", largest=MAX_LAYERS),
        hidden_size=hidden_size,
        num_heads=num_heads,
        ffn_size=count(path, config, "intermediate_size"),
        vocab_size=count(path, config, "vocab_size"),
        num_types=count(path, config, "type_vocab_size", default=1),
        num_positions=num_positions,
        num_skipped=num_skipped,
        context_size=_context_size(folder, num_positions - num_skipped),
        norm_epsilon=positive(path, config, "layer_norm_eps", default=1e-12),
        pooling=PoolingType.RANK if is_reranker(config) else _pooling(folder),
    )


def _check_head(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that llama.cpp can rerank with the classification head."""
    if config["model_type"] != XLM_ROBERTA:
        problem = (
            "holds a classifier of BERT, which tells query and document apart by token types, and "
            "llama.cpp has one type only"
        )
        raise UnsupportedRerankerError(folder, problem)
    labels, path = config.get("id2label"), folder / CONFIG_FILE
    if isinstance(labels, dict):
        num_labels = len(labels)
    else:
        num_labels = count(path, config, "num_labels", default=DEFAULT_NUM_LABELS)
    if num_labels != 1:
        problem = f"holds a classifier with {num_labels} labels, and a reranker has one"
        raise UnsupportedRerankerError(folder, problem)


def _context_size(folder: Path, num_positions: int) -> int:
    """Tokens of a text: one for each position, or fewer if the model was trained with fewer."""
    path = folder / LIMITS_FILE
    if not path.is_file():
        return num_positions
    limits = read_object(path)
    if limits.get("max_seq_length") is None:
        return num_positions
    return min(num_positions, count(path, limits, "max_seq_length"))


def _pooling(folder: Path) -> PoolingType:
    """Pooling of token vectors: the folder's, or the mean."""
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
            f"is {' and '.join(chosen) or 'not given'}; mean, cls or lasttoken can be converted"
        )
        raise ConfigError(path, prefix, problem)
    return POOLING_MODES[chosen[0]]
