"""Checks of a model's file before llama.cpp loads it.

llama.cpp asserts where a hyperparameter is out of its range, which ends the process, and so does
any exception of its tokenizers. The ranges are those of its ``load_hparams`` and of the operations
that models are computed with.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as native
from gguf import GGMLQuantizationType, GGUFValueType

from glm3edge.errors import ModelLoadError
from glm3edge.llama.charsmap import is_sound
from glm3edge.llama.gguf_file import has_head, read_gguf
from glm3edge_convert.checkpoint.config import MAX_LAYERS
from glm3edge_convert.gguf.header import ALIGNMENT
from glm3edge_convert.gguf.reader import GgufHeader, LongArray, StoredTensor
from glm3edge_convert.gguf.split import parts_of

CHAT_ARCHITECTURE = "chatglm"
ENCODER_ARCHITECTURE = "bert"

_TOKENS, _SCORES = "tokenizer.ggml.tokens", "tokenizer.ggml.scores"
_TOKEN_TYPES, _BYTE = "tokenizer.ggml.token_type", 6
_CHARSMAP = "tokenizer.ggml.precompiled_charsmap"
_NEEDED = ("context_length", "embedding_length", "block_count", "attention.head_count")
_NEEDED_TO_CHAT = (  # without the last two llama.cpp computes another model
    "feed_forward_length",
    "attention.head_count_kv",
    "attention.layer_norm_rms_epsilon",
    "rope.dimension_count",
    "rope.freq_base",
)
_RANGES: dict[str, tuple[float, float]] = {  # the least and the greatest
    "context_length": (1, 2**24),
    "embedding_length": (1, 2**17),
    "block_count": (1, MAX_LAYERS),
    "feed_forward_length": (1, 2**20),
    "vocab_size": (1, 2**20),
    "pooling_type": (0, 4),
    "attention.head_count": (1, 2**12),
    "attention.head_count_kv": (1, 2**12),
    "attention.layer_norm_epsilon": (0, 1),
    "attention.layer_norm_rms_epsilon": (0, 1),
    "rope.dimension_count": (2, 2**12),
    "rope.freq_base": (1, 1e12),
    "rope.scale_linear": (1e-3, 1e6),
    "rope.scaling.factor": (1e-3, 1e6),
    "rope.scaling.attn_factor": (0, 1e3),
    "rope.scaling.alpha": (0, 1e6),
    "rope.scaling.original_context_length": (1, 2**24),
    "nextn_predict_layers": (0, 0),
    "expert_count": (0, 0),
    "expert_used_count": (0, 0),
    "expert_group_count": (0, 0),
    "expert_group_used_count": (0, 0),
}
_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
_TOKENIZERS = {
    CHAT_ARCHITECTURE: ("llama", "gpt2", "no_vocab"),
    ENCODER_ARCHITECTURE: ("bert", "t5", "gpt2", "llama"),
}
_WITH_BYTES = {"llama", "t5"}
_NO_WEIGHTS = {"I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K"}
_ADDED = "token_types.weight"  # a matrix, and added to a vector
_LAYER = re.compile(r"blk\.(\d+)\.")
_OTHER_KINDS = (  # the option that takes it, its general.type and adapter.type
    ("glm3edge serve --lora", "adapter", "lora"),
    ("glm3edge serve --prefix", "adapter", "prefix"),
    ("glm3edge convert --imatrix", "imatrix", None),
)
_MAX_DETAIL = 200  # characters of what an error quotes
_LORA_TYPES = {
    "general.type": GGUFValueType.STRING,
    "general.architecture": GGUFValueType.STRING,
    "adapter.type": GGUFValueType.STRING,
    "adapter.lora.alpha": GGUFValueType.FLOAT32,
}


def check_model(path: Path, architecture: str) -> None:
    """Check a file, and the other parts of it if it is split.

    Raises:
        ModelLoadError: it is no GGUF file, holds another architecture, or contradicts itself.
    """
    header = read_gguf(path, whole={_TOKENS, _TOKEN_TYPES, _CHARSMAP})
    _check_kind(header)
    found = header.metadata.get("general.architecture")
    if found != architecture:
        raise ModelLoadError(path, _why_not(path, found, architecture))
    keys = f"{architecture}."
    values = {
        key.removeprefix(keys): value
        for key, value in header.metadata.items()
        if key.startswith(keys)
    }
    is_to_chat = architecture == CHAT_ARCHITECTURE
    _check_ranges(path, values, needed=_NEEDED + _NEEDED_TO_CHAT * is_to_chat)
    if is_to_chat and values.get("attention.causal", True) is not True:
        raise _lie(path, "its attention is not causal")
    _check_heads(path, values)
    _check_vocabulary(header, architecture)
    for part in (header, *_other_parts(header)):
        if (alignment := part.metadata.get("general.alignment", ALIGNMENT)) % ALIGNMENT:
            raise _lie(part.path, f"its alignment is {alignment}")
        for tensor in part.tensors.values():
            _check_tensor(part.path, tensor, values["block_count"])


def check_special_tokens(path: Path, vocab: Any) -> None:
    """Check that a vocabulary, a handle of llama.cpp's, has the tokens that it adds to texts.

    Raises:
        ModelLoadError: it lacks one.
    """
    is_wordpiece = native.llama_vocab_type(vocab) == native.LLAMA_VOCAB_TYPE_WPM
    added = {
        "bos": (native.llama_vocab_get_add_bos(vocab), native.llama_vocab_bos(vocab)),
        "eos": (native.llama_vocab_get_add_eos(vocab), native.llama_vocab_eos(vocab)),
        "sep": (native.llama_vocab_get_add_sep(vocab), native.llama_vocab_sep(vocab)),
    }
    for name, (is_added, token_id) in added.items():
        if (is_added or (is_wordpiece and name != "eos")) and token_id == native.LLAMA_TOKEN_NULL:
            raise _lie(path, f"it lacks the token {name}")


def check_lora(path: Path) -> GgufHeader:
    """Check the file of a LoRA adapter, and return its header.

    Raises:
        ModelLoadError: it is no GGUF file, or contradicts itself.
    """
    header = read_gguf(path)
    for key, kind in _LORA_TYPES.items():
        if key in header.types and not _is_one(header, key, kind):
            raise _lie(path, f"{key} is not of the type {kind.name.lower()}")
    if header.metadata.get("general.type") != "adapter":
        raise ModelLoadError(
            path, "it is not an adapter; serve it as the model, or give an adapter"
        )
    if header.metadata.get("adapter.type") == "prefix":
        raise ModelLoadError(path, "it is a P-Tuning v2 prefix; give it to glm3edge serve --prefix")
    if not math.isfinite(alpha := header.metadata.get("adapter.lora.alpha", 0)):
        raise _lie(path, f"adapter.lora.alpha is {alpha}")
    for tensor in header.tensors.values():
        _check_type(path, tensor)
    return header


def _check_ranges(path: Path, values: Mapping[str, Any], *, needed: Sequence[str]) -> None:
    for key in needed:
        if key not in values:
            raise _lie(path, f"it lacks {key}")
    for key, (least, greatest) in _RANGES.items():
        value = values.get(key, least)
        if type(value) not in {int, float} or not least <= value <= greatest:
            raise _lie(path, f"{key} is {value}")
    scaling = values.get("rope.scaling.type", "none")
    if scaling not in _ROPE_SCALINGS:
        raise _lie(path, f"rope.scaling.type is {scaling}")


def _check_heads(path: Path, values: Mapping[str, Any]) -> None:
    width, num_heads = values["embedding_length"], values["attention.head_count"]
    num_groups = values.get("attention.head_count_kv", num_heads)
    head_size = width // num_heads
    if width % num_heads or num_heads % num_groups:
        raise _lie(path, f"{num_heads} heads in {num_groups} groups do not share {width} values")
    fixed = {
        "embedding_length_out": width,
        "attention.key_length": head_size,
        "attention.value_length": head_size,
    }
    for key, only in fixed.items():
        if values.get(key, only) != only:
            raise _lie(path, f"{key} is {values[key]}")
    rotated = values.get("rope.dimension_count", 2)
    if rotated % 2 or rotated > head_size:
        raise _lie(path, f"rope.dimension_count is {rotated}")


def _check_vocabulary(header: GgufHeader, architecture: str) -> None:
    model = header.metadata.get("tokenizer.ggml.model")
    if model not in _TOKENIZERS[architecture]:
        raise _lie(header.path, f"its tokenizer is {model}")
    if model == "t5" and _CHARSMAP in header.metadata:
        _check_charsmap(header)
    types = header.metadata.get(_TOKEN_TYPES)
    if model not in _WITH_BYTES and isinstance(types, list) and _BYTE in types:
        raise _lie(header.path, "it has tokens for bytes, and its tokenizer has none")
    tokens = header.metadata.get(_TOKENS)
    if tokens is None:
        return
    if not isinstance(tokens, list) or header.types[_TOKENS] is not GGUFValueType.STRING:
        raise _lie(header.path, f"{_TOKENS} is not a list of strings")
    known = {text or f"[EMPTY_{index}]" for index, text in enumerate(tokens)}
    if len(known) < len(tokens):
        raise _lie(header.path, "it has a token twice")
    if model == "llama" and not known.issuperset(f"<0x{byte:02X}>" for byte in range(256)):
        raise _lie(header.path, "it lacks tokens for bytes")
    if model == "llama" and _SCORES not in header.metadata:
        raise _lie(header.path, "it lacks the scores of tokens")  # llama.cpp would take all for 0


def _check_charsmap(header: GgufHeader) -> None:
    values, kind = header.metadata[_CHARSMAP], header.types[_CHARSMAP]
    is_bytes = isinstance(values, list) and kind in {GGUFValueType.UINT8, GGUFValueType.INT8}
    if not is_bytes or not is_sound(bytes(value % 256 for value in values)):
        raise _lie(header.path, f"{_CHARSMAP} leads outside itself")


def _check_tensor(path: Path, tensor: StoredTensor, num_layers: int) -> None:
    _check_type(path, tensor)
    is_vector = len(tensor.shape) < 2 or tensor.name == _ADDED
    if is_vector and tensor.type is not GGMLQuantizationType.F32:
        raise _lie(path, f"{tensor.name} is {tensor.type.name}, and vectors are F32")
    layer = _LAYER.match(tensor.name)
    if layer and int(layer[1]) >= num_layers:
        raise _lie(path, f"it has {tensor.name} and {num_layers} layers")


def _check_type(path: Path, tensor: StoredTensor) -> None:
    if tensor.type.name in _NO_WEIGHTS:
        raise _lie(path, f"{tensor.name} is {tensor.type.name}, which no weights are")


def _check_kind(header: GgufHeader) -> None:
    """Refuse adapters, importance matrices, and all but the first of a split model's parts."""
    kinds = [header.metadata.get(key) for key in ("general.type", "adapter.type")]
    for option, *its_kinds in _OTHER_KINDS:
        if kinds == its_kinds:
            raise ModelLoadError(header.path, f"it is not a model; give it to {option}")
    first = f"-{1:05d}-of-{_num_parts(header):05d}.gguf"
    if _num_parts(header) > 1 and not header.path.name.endswith(first):
        problem = f"it is one of {_num_parts(header)} parts; give that named *{first}"
        raise ModelLoadError(header.path, problem)


def _num_parts(header: GgufHeader) -> int:
    count = header.metadata.get("split.count")
    return count if isinstance(count, int) else 1


def _other_parts(header: GgufHeader) -> list[GgufHeader]:
    """Headers of the files that llama.cpp opens beside the first one of a split model."""
    if _num_parts(header) < 2:
        return []
    parts = [read_gguf(path) for path in parts_of(header.path)[1:]]
    for part in parts:
        if not _is_one(part, "split.no", GGUFValueType.UINT16):
            raise _lie(part.path, "split.no is not of the type uint16")
    return parts


def _is_one(header: GgufHeader, key: str, kind: GGUFValueType) -> bool:
    """Whether the value is of that type, and no array."""
    is_array = isinstance(header.metadata.get(key), (list, LongArray))
    return header.types.get(key) is kind and not is_array


def _lie(path: Path, detail: str) -> ModelLoadError:
    remedy = "so it cannot be loaded; convert or download it again"
    return ModelLoadError(path, f"{detail[:_MAX_DETAIL]}, {remedy}")


def _why_not(path: Path, found: object, wanted: str) -> str:
    if (found, wanted) == (ENCODER_ARCHITECTURE, CHAT_ARCHITECTURE):
        what, option = "model for embeddings", "--embedding-model"
        if has_head(path):
            what, option = "reranker", "--rerank-model"
        return f"it is a {what}; serve it beside one that chats: {option}"
    if (found, wanted) == (CHAT_ARCHITECTURE, ENCODER_ARCHITECTURE):
        return "it is a model that chats; give an encoder, or leave the option out"
    what = "chats" if wanted == CHAT_ARCHITECTURE else "embeds or reranks"
    return f"its architecture is {str(found)[:_MAX_DETAIL]}, and only {wanted} {what} here"
