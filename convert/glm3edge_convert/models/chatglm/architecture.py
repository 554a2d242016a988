"""Recognition of ChatGLM3 by what the model is, never by what it is called.

``model_type`` is "chatglm" for ChatGLM-6B, ChatGLM2, ChatGLM3 and the first GLM-4, and
``_name_or_path`` is whatever folder a fine-tune was saved from. The signs used instead:

- ChatGLM-6B has two-dimensional positions: ``position_encoding_2d``, ``inner_hidden_size``.
- GLM-4 has a tiktoken ``tokenizer.model`` (lines of base64 and rank) and 151552 tokens.
- ChatGLM2 has ChatGLM3's layers and SentencePiece file. It differs in its chat format: no role
  tokens. So the tokenizer's and model's Python files decide, or the tokenizer's JSON files where
  newer libraries list added tokens in them. A folder without any of these is ChatGLM3, but for one
  context that leaves it open: ChatGLM2-6B was released with 32768 positions and no ``rope_ratio``,
  ChatGLM3 with 8192, or 32768 and a rope_ratio of 50, or 131072 and 500.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glm3edge_convert.checkpoint.quantization import check_config_is_unquantized
from glm3edge_convert.errors import (
    AmbiguousArchitectureError,
    NotACheckpointError,
    UnreadableFileError,
    UnsupportedArchitectureError,
)
from glm3edge_convert.files import read_file, read_head
from glm3edge_convert.tokenizer.vocab import TOKENIZER_FILE

CHATGLM2 = "ChatGLM2"
GLM4 = "GLM-4"
GLM4_VOCAB_SIZE = 151552
CHATGLM2_SEQ_LENGTH = 32768
REPOSITORY = "zai-org/chatglm3-6b"
REPOSITORY_SUFFIXES = {32768: "-32k", 131072: "-128k"}  # by seq_length
ROLE_TOKEN = "<|assistant|>"  # noqa: S105
ROUND_PROMPT = "[Round "
CODE_FILES = ("tokenization_chatglm.py", "modeling_chatglm.py")
TOKEN_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")


def check_architecture(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that a folder holds ChatGLM3, with its tokenizer.

    Raises:
        NotACheckpointError: it has no tokenizer.model.
        ConvertError: whatever ``check_config()`` raises.
    """
    check_config(folder, config)
    if not (folder / TOKENIZER_FILE).exists():
        raise NotACheckpointError(folder, f"{TOKENIZER_FILE} is missing")


def check_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that a folder holds an unquantized ChatGLM3, by the files that are there.

    Raises:
        UnsupportedArchitectureError: it holds another model, which the error names.
        AmbiguousArchitectureError: it may as well hold ChatGLM2.
        QuantizedCheckpointError: its weights are quantized.
        UnreadableFileError: its tokenizer.model may not be read.
    """
    check_model_type(folder, config)
    suffix = REPOSITORY_SUFFIXES.get(_seq_length(config), "")
    check_config_is_unquantized(folder, config, original=REPOSITORY + suffix)
    if TIKTOKEN_LINE.match(_head(folder / TOKENIZER_FILE)):
        raise UnsupportedArchitectureError(folder, GLM4, "its tokenizer is a tiktoken file")
    _check_is_not_chatglm2(folder, config)


def check_model_type(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that a model is ChatGLM3 as far as config.json shows.

    Raises:
        UnsupportedArchitectureError: it is another model, which the error names.
    """
    model_type = config.get("model_type")
    if model_type in {"glm", "glm4"}:
        raise UnsupportedArchitectureError(folder, GLM4, f"model_type is {model_type}")
    if model_type != "chatglm":
        raise UnsupportedArchitectureError(
            folder, f"a {model_type or 'nameless'} model", "model_type is not chatglm"
        )
    if config.get("position_encoding_2d") or "inner_hidden_size" in config:
        raise UnsupportedArchitectureError(folder, "ChatGLM-6B", "it has 2D positions")
    if config.get("padded_vocab_size") == GLM4_VOCAB_SIZE:
        raise UnsupportedArchitectureError(folder, GLM4, f"it has {GLM4_VOCAB_SIZE} tokens")


def _seq_length(config: Mapping[str, Any]) -> int:
    found = config.get("seq_length")
    return found if isinstance(found, int) else 0


def _check_is_not_chatglm2(folder: Path, config: Mapping[str, Any]) -> None:
    code = [_text(folder / name) for name in CODE_FILES]
    if any(ROLE_TOKEN in text for text in [*code, *(_text(folder / name) for name in TOKEN_FILES)]):
        return
    if any(ROUND_PROMPT in text for text in code):
        raise UnsupportedArchitectureError(folder, CHATGLM2, "its prompts are counted in rounds")
    if code[0]:
        raise UnsupportedArchitectureError(folder, CHATGLM2, "its tokenizer has no role tokens")
    if _seq_length(config) == CHATGLM2_SEQ_LENGTH and config.get("rope_ratio", 1) == 1:
        sign = f"{CHATGLM2_SEQ_LENGTH} positions, no rope_ratio and no Python files"
        raise AmbiguousArchitectureError(folder, sign)


def _text(path: Path) -> str:
    """Text of a file, empty if there is none. The files are read, never run."""
    try:
        return read_file(path).decode("utf-8", errors="replace")
    except OSError:
        return ""


def _head(path: Path) -> bytes:
    """The beginning of a file, empty if there is none."""
    try:
        return read_head(path, 512)
    except FileNotFoundError:
        return b""
    except OSError as exc:
        raise UnreadableFileError(path, exc) from exc
