"""Vocabulary of a file that llama.cpp's own converter made, with control tokens spelled as ours.

llama.cpp joins characters into any token whose text it knows, control tokens included, and that
converter calls two of them ``sop`` and ``eop``: "philosophy" would hold one. No token but these few
differs (``glm3edge_convert.tokenizer.vocab``), so a vocabulary with our texts replaces the file's,
and weights and ids remain what they are.
"""

import ctypes
import logging
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as native

from glm3edge.errors import ModelLoadError
from glm3edge.llama import ggml
from glm3edge_convert.errors import TokenizerError
from glm3edge_convert.tokenizer.vocab import EOS_ID, LLAMA_CPP_TEXTS, respell

_TYPES = {
    native.LLAMA_TOKEN_ATTR_UNKNOWN: native.LLAMA_TOKEN_TYPE_UNKNOWN,
    native.LLAMA_TOKEN_ATTR_UNUSED: native.LLAMA_TOKEN_TYPE_UNUSED,
    native.LLAMA_TOKEN_ATTR_CONTROL: native.LLAMA_TOKEN_TYPE_CONTROL,
    native.LLAMA_TOKEN_ATTR_USER_DEFINED: native.LLAMA_TOKEN_TYPE_USER_DEFINED,
    native.LLAMA_TOKEN_ATTR_BYTE: native.LLAMA_TOKEN_TYPE_BYTE,
}
_OUR_SOP = LLAMA_CPP_TEXTS["sop"]
_INT32 = 5  # gguf_type (gguf.h)
_NO_DATA = native.llama_model_set_tensor_data_t(0)

logger = logging.getLogger(__name__)


def respelled(path: Path, vocab: Any) -> Any:
    """Load the vocabulary with our texts, as a model without weights; None if the file has them.

    Args:
        path: a file of a chat model; its metadata is read again.
        vocab: llama.cpp's handle of the file's own vocabulary.

    Raises:
        ModelLoadError: it is not ChatGLM3's vocabulary, by our converter or llama.cpp's.
    """
    if native.llama_vocab_type(vocab) != native.LLAMA_VOCAB_TYPE_SPM:
        raise _refusal(path)
    ids = range(native.llama_vocab_n_tokens(vocab))
    if any(_text(vocab, token_id) == _OUR_SOP for token_id in reversed(ids)):
        return None
    texts = [_text(vocab, token_id) for token_id in ids]
    try:
        tokens = respell(path, texts, [_type(vocab, token_id) for token_id in ids])
    except TokenizerError as exc:
        raise _refusal(path) from exc
    handle = _load(path, [token.text for token in tokens], [token.type for token in tokens])
    if not handle:
        raise _refusal(path)
    logger.warning(
        "%s was made by llama.cpp's converter: its control tokens sop and eop are renamed in "
        "memory, so that words such as philosophy get the right token ids",
        path,
    )
    return handle


def _refusal(path: Path) -> ModelLoadError:
    return ModelLoadError(
        path,
        "its vocabulary is not ChatGLM3's, so texts would get wrong token ids; make a file of a "
        "ChatGLM3 checkpoint: glm3edge convert FOLDER",
    )


def _text(vocab: Any, token_id: int) -> str:
    text: bytes = native.llama_vocab_get_text(vocab, token_id)
    return text.decode("utf-8", errors="replace")


def _type(vocab: Any, token_id: int) -> int:
    bits = int(native.llama_vocab_get_attr(vocab, token_id))
    found = (number for bit, number in _TYPES.items() if bits & bit)
    return int(next(found, native.LLAMA_TOKEN_TYPE_NORMAL))


def _load(path: Path, texts: list[str], types: list[int]) -> Any:
    """Load the metadata of ``path`` with these tokens, as a model without weights."""
    count = len(texts)
    texts_data = (ctypes.c_char_p * count)(*map(str.encode, texts))
    types_data = (ctypes.c_int32 * count)(*types)
    params = native.llama_model_default_params()
    params.vocab_only = True
    metadata = ggml.function("gguf_init_from_file")(str(path).encode(), ggml.METADATA_ONLY)
    if not metadata:
        raise ModelLoadError(path, "it has gone or changed since it was loaded")
    try:
        ggml.function("gguf_set_arr_str")(metadata, b"tokenizer.ggml.tokens", texts_data, count)
        ggml.function("gguf_set_arr_data")(
            metadata, b"tokenizer.ggml.token_type", _INT32, types_data, count
        )
        ggml.function("gguf_set_val_u32")(metadata, b"tokenizer.ggml.eos_token_id", EOS_ID)
        return native.llama_model_init_from_user(metadata, _NO_DATA, None, params)
    finally:
        ggml.function("gguf_free")(metadata)
