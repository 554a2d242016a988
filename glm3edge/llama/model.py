"""Model: a loaded GGUF file, its metadata and its vocabulary."""

import ctypes
import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as native

from glm3edge.errors import ModelLoadError, ResourceClosedError
from glm3edge.llama import library
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.mapped_pages import release_pages
from glm3edge.llama.model_checks import CHAT_ARCHITECTURE, check_model, check_special_tokens
from glm3edge.llama.respelling import respelled
from glm3edge_convert.printable import printable
from glm3edge_convert.quantize.recipe import file_type_name

_KV_VALUE_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
_MAX_PIECE_BYTES = 1024
_SLICE_TOKENS = 2**16  # copied without a pause for other threads
_MAX_NAME = 200  # characters
_FINGERPRINT_BYTES = 2**20
_KINDS = {
    native.LLAMA_TOKEN_ATTR_UNKNOWN: "unknown",
    native.LLAMA_TOKEN_ATTR_UNUSED: "unused",
    native.LLAMA_TOKEN_ATTR_CONTROL: "control",
    native.LLAMA_TOKEN_ATTR_BYTE: "byte",
}
_NO_TEXT = native.LLAMA_TOKEN_ATTR_CONTROL | native.LLAMA_TOKEN_ATTR_UNKNOWN


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """Entry of a token in the file's vocabulary.

    Attributes:
        text: its spelling there, with U+2581 for a space.
        kind: ``normal``, ``unknown``, ``unused``, ``control`` or ``byte``; user-defined pieces are
            normal ones.
        score: the tokenizer merges to the piece with the higher score first.
    """

    text: str
    kind: str
    score: float


class Model:
    """Weights and vocabulary of a GGUF file, shared by contexts.

    Closing is safe at any time and any number of times: the memory is freed when the last context
    that uses the model is closed.
    """

    def __init__(
        self,
        path: Path,
        *,
        architecture: str = CHAT_ARCHITECTURE,
        vocab_only: bool = False,
        no_alloc: bool = False,
        placement: Placement = ON_CPU,
    ) -> None:
        """Load ``path``.

        Args:
            path: a GGUF file.
            architecture: ``general.architecture`` that the file has to have.
            vocab_only: leave the weights out; such a model can tokenize and nothing else.
            no_alloc: read no weights; contexts of such a model compute nothing and only report
                the memory that they would take.
            placement: device of each layer and tensor.

        Raises:
            DeviceError: the placement names a device that is not here.
            ModelLoadError: no such file, no GGUF file, another architecture, or llama.cpp failed.
        """
        check_model(path, architecture)
        library.start()
        self.path = path
        self._lock = threading.Lock()
        self._num_users = 0
        self._closed = False
        self._pieces: dict[int, bytes] = {}
        self._architecture = architecture
        self._vocab: Any = None
        self._respelled: Any = None  # model with the vocabulary to use instead of the file's
        self.placement = placement
        self._handle: Any = _load(
            path, vocab_only=vocab_only, no_alloc=no_alloc, placement=placement
        )
        vocab = native.llama_model_get_vocab(self._handle)
        try:
            check_special_tokens(path, vocab)
        except ModelLoadError:
            self.close()
            raise
        self.vocab_size = int(native.llama_vocab_n_tokens(vocab))

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """``general.name`` of the file, or its file name; of either what can be printed."""
        name = printable(self.metadata("general.name") or "")[:_MAX_NAME].strip()
        return " ".join(name.split()) or printable(self.path.stem)

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture."""
        return self._architecture

    @property
    def file_type(self) -> str | None:
        """Type that it was quantized to, as ``--type`` names it; None if the file lacks it."""
        number = self.metadata("general.file_type") or ""
        return file_type_name(int(number)) if number.isdecimal() else None

    @property
    def context_length(self) -> int:
        """Tokens of context the model was trained for."""
        return int(native.llama_model_n_ctx_train(self._open_handle()))

    @property
    def embedding_length(self) -> int:
        """Width of the hidden state."""
        return int(native.llama_model_n_embd(self._open_handle()))

    @property
    def feed_forward_length(self) -> int:
        """Width of the feed-forward layers, with padding if the file has it; 0 if unknown."""
        return int(self.metadata(f"{self._architecture}.feed_forward_length") or 0)

    @property
    def num_labels(self) -> int:
        """Numbers that a classification head puts out; 1 if there is none."""
        return int(native.llama_model_n_cls_out(self._open_handle()))

    @property
    def num_layers(self) -> int:
        """Number of transformer layers."""
        return int(native.llama_model_n_layer(self._open_handle()))

    @property
    def head_size(self) -> int:
        """Width of an attention head."""
        return self.embedding_length // int(native.llama_model_n_head(self._open_handle()))

    @property
    def num_groups(self) -> int:
        """Number of key/value heads, each for several query heads (``n_head_kv``)."""
        return int(native.llama_model_n_head_kv(self._open_handle()))

    @property
    def key_value_length(self) -> int:
        """Width of a layer's keys, and of its values: key/value heads times their size."""
        return self.head_size * self.num_groups

    @property
    def rope_size(self) -> int:
        """Number of a head's values that its position rotates, in adjacent pairs."""
        size = self.metadata(f"{CHAT_ARCHITECTURE}.rope.dimension_count")
        return int(size) if size else self.head_size

    @property
    def rope_base(self) -> float:
        """Base of the rotation's angles."""
        return float(self.metadata(f"{CHAT_ARCHITECTURE}.rope.freq_base") or 10000)

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors."""
        return int(native.llama_model_size(self._open_handle()))

    @property
    def num_params(self) -> int:
        """Number of weights, feed-forward padding included."""
        return int(native.llama_model_n_params(self._open_handle()))

    @property
    def fingerprint(self) -> str:
        """Digest of the file's size, its first MiB and its last."""
        digest = hashlib.blake2b(digest_size=16)
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest.update(str(size).encode())
            for start in (0, max(size - _FINGERPRINT_BYTES, 0)):
                file.seek(start)
                digest.update(file.read(_FINGERPRINT_BYTES))
        return digest.hexdigest()

    @property
    def eos_id(self) -> int:
        """Id of the token that ends a text."""
        return int(native.llama_vocab_eos(self.vocab_handle))

    def kv_cache_bytes(self, num_tokens: int, kv_type: str = "f16") -> int:
        """Bytes of the keys and values of ``num_tokens``: 28 KiB a token for ChatGLM3-6B in f16."""
        num_values = 2 * self.num_layers * self.key_value_length * num_tokens
        return round(num_values * _KV_VALUE_BYTES[kv_type])

    def metadata(self, key: str) -> str | None:
        """A metadata value of the file as text, None if the file has no such key."""
        handle = self._open_handle()
        length = native.llama_model_meta_val_str(handle, key.encode(), None, 0)
        if length < 0:
            return None
        buffer = ctypes.create_string_buffer(length + 1)
        native.llama_model_meta_val_str(handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", errors="replace")

    def tokenize(self, text: str, *, add_special: bool = False) -> list[int]:
        """Token ids of ``text`` with the dummy prefix, as SentencePiece's ``encode`` gives them.

        Text that spells a control token stays text. Lone surrogates become ``?``. ``add_special``
        adds the tokens that the model expects at a text's ends, if any.
        """
        data = text.encode("utf-8", errors="replace")
        return self._tokenize(data, parse_special=False, add_special=add_special)

    def control_token_id(self, text: str) -> int | None:
        """Id of the control token spelled ``text``, None if there is none."""
        ids = self._tokenize(text.encode(), parse_special=True)
        if len(ids) == 1 and self.is_control(ids[0]):
            return ids[0]
        return None

    def is_control(self, token_id: int) -> bool:
        """Whether ``token_id`` is a control token or the unknown one, which stand for no text."""
        return bool(native.llama_vocab_get_attr(self.vocab_handle, token_id) & _NO_TEXT)

    def piece(self, token_id: int) -> bytes:
        """Bytes that ``token_id`` stands for; empty for control and unused tokens.

        Raises:
            IndexError: there is no such token.
        """
        cached = self._pieces.get(token_id)
        if cached is None:
            cached = self._pieces[token_id] = self._read_piece(token_id)
        return cached

    def token_name(self, token_id: int) -> bytes:
        """Bytes that ``token_id`` stands for, or a control token's spelling.

        Raises:
            IndexError: there is no such token.
        """
        return self._read_piece(token_id, special=True)

    def entry(self, token_id: int) -> TokenEntry:
        """Entry of ``token_id`` in the file's vocabulary.

        Raises:
            IndexError: there is no such token.
        """
        self._check_token_id(token_id)
        vocab = self.vocab_handle
        text: bytes = native.llama_vocab_get_text(vocab, token_id)
        attributes = int(native.llama_vocab_get_attr(vocab, token_id))
        kind = next((name for bit, name in _KINDS.items() if attributes & bit), "normal")
        score = float(native.llama_vocab_get_score(vocab, token_id))
        return TokenEntry(text.decode("utf-8", errors="replace"), kind, score)

    @property
    def vocab_handle(self) -> Any:
        """llama.cpp's handle of the vocabulary; the model stays open as long as it is used.

        It is checked on first use: a process that only computes needs none.

        Raises:
            ModelLoadError: it is not ChatGLM3's, though the model has to be one that chats.
        """
        with self._lock:
            handle = self._open_handle()
            if self._vocab is None:
                self._vocab = self._find_vocab(handle)
            return self._vocab

    def acquire(self) -> Any:
        """Take llama.cpp's handle, which stays valid until ``release()``."""
        with self._lock:
            handle = self._open_handle()
            self._num_users += 1
            return handle

    def release(self) -> None:
        """Return the handle of one ``acquire()``."""
        with self._lock:
            self._num_users -= 1
            self._free_if_unused()

    def close(self) -> None:
        """Free the model, at once or when its last context is closed."""
        with self._lock:
            self._closed = True
            self._free_if_unused()

    def _free_if_unused(self) -> None:
        if self._closed and self._num_users == 0 and self._handle is not None:
            native.llama_model_free(self._handle)
            self._handle = None
            if self._respelled is not None:
                native.llama_model_free(self._respelled)

    def _open_handle(self) -> Any:
        if self._closed:
            raise ResourceClosedError(f"model {self.path.name} is closed")
        return self._handle

    def _find_vocab(self, handle: Any) -> Any:
        vocab = native.llama_model_get_vocab(handle)
        if self._architecture == CHAT_ARCHITECTURE:
            self._respelled = respelled(self.path, vocab)
        return native.llama_model_get_vocab(self._respelled) if self._respelled else vocab

    def _tokenize(
        self, text: bytes, *, parse_special: bool, add_special: bool = False
    ) -> list[int]:
        vocab = self.vocab_handle
        capacity = len(text) + 2
        for _ in range(2):
            ids = (ctypes.c_int32 * capacity)()
            count = native.llama_tokenize(
                vocab, text, len(text), ids, capacity, add_special, parse_special
            )
            if count >= 0:
                return _listed(ids, count)
            capacity = -count
        raise OverflowError(f"text of {len(text)} bytes is too long to tokenize")

    def _read_piece(self, token_id: int, *, special: bool = False) -> bytes:
        self._check_token_id(token_id)
        vocab = self.vocab_handle
        buffer = ctypes.create_string_buffer(_MAX_PIECE_BYTES)
        length = native.llama_token_to_piece(vocab, token_id, buffer, len(buffer), 0, special)
        return buffer.raw[: max(length, 0)]

    def _check_token_id(self, token_id: int) -> None:
        if not 0 <= token_id < self.vocab_size:
            raise IndexError(f"token id {token_id} is not in 0..{self.vocab_size - 1}")


def _listed(ids: Any, count: int) -> list[int]:
    """The first ``count`` numbers of a C array."""
    found: list[int] = []
    for start in range(0, count, _SLICE_TOKENS):
        found += ids[start : min(start + _SLICE_TOKENS, count)]
    return found


def _load(path: Path, *, vocab_only: bool, no_alloc: bool, placement: Placement) -> Any:
    params = native.llama_model_default_params()
    params.vocab_only = vocab_only
    params.no_alloc = no_alloc
    if no_alloc:  # llama.cpp asserts that nothing is mapped then
        params.load_mode = native.LLAMA_LOAD_MODE_NONE
    kept_alive = placement.apply(params)  # noqa: F841 - while llama.cpp reads them
    with library.first_error() as reason:
        handle = native.llama_model_load_from_file(str(path).encode(), params)
        if not handle:
            raise ModelLoadError(path, reason())
    release_pages(path)
    return handle
