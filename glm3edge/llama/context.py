"""Context: decodes batches of tokens, and owns the KV cache of their sequences."""

import ctypes
import os
import threading
from collections.abc import Sequence
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as native
import numpy as np
from numpy.typing import NDArray

from glm3edge.config.kv_types import KV_TYPES
from glm3edge.core import Mask, SamplingParams, Span, TokenLogprobs
from glm3edge.errors import DecodeAbortedError, DecodeError, ModelError, ResourceClosedError
from glm3edge.llama import library
from glm3edge.llama.adapter import Adapter, apply_none
from glm3edge.llama.allocations import Allocation, allocations
from glm3edge.llama.batch import Batch
from glm3edge.llama.handle import close_context, open_context
from glm3edge.llama.kv_state import read_state, write_state
from glm3edge.llama.logits import forbid, token_logprobs
from glm3edge.llama.model import Model
from glm3edge.llama.pointers import floats_at
from glm3edge.llama.prefix import Prefix
from glm3edge.llama.prefixed_sequences import PrefixedSequences
from glm3edge.llama.sampler import Sampler

_GGML_TYPES: dict[str, int] = {
    name: getattr(native, f"GGML_TYPE_{name.upper()}") for name in KV_TYPES
}

_ABORTED = 2  # what llama_decode returns then

# llama.cpp asks a callback between operations, thousands of times a batch, whether to stop. One in
# Python would wait for the interpreter's lock each time. C's strlen does as well: it returns 0 of
# an empty string and 1 of one with a character.
_STRLEN = ctypes.cast(ctypes.CDLL(None if os.name == "posix" else "msvcrt").strlen, ctypes.c_void_p)


class Context:
    """A model's KV cache and the computation that fills it.

    Methods may be called from any thread, one at a time: a lock keeps ``close()`` from freeing
    memory under a running ``decode()``.
    """

    def __init__(
        self,
        model: Model,
        *,
        context_size: int,
        batch_size: int,
        num_sequences: int,
        num_threads: int,
        adapters: Sequence[Adapter | Prefix] = (),
        kv_type: str = "f16",
        precise: bool = False,
    ) -> None:
        """Allocate the KV cache.

        Args:
            model: whose weights are used; it stays open as long as this context.
            context_size: tokens in the KV cache, over all sequences.
            batch_size: most tokens of one ``decode()``.
            num_sequences: sequences that share the KV cache.
            num_threads: compute threads.
            adapters: of the model, which ``decode()`` knows by number: the first is 1. Prefixes
                have cells of their own, besides ``context_size``.
            kv_type: type of keys and values, one of KV_TYPES.
            precise: keep keys and values in f32 instead, and compute attention step by step.

        Raises:
            ModelError: llama.cpp could not make it, most often for lack of memory, or prefixes
                cannot be used with these settings or this llama.cpp, or there are too many.
            ResourceClosedError: the model is closed.
        """
        self.model = model
        self.context_size = context_size
        self.batch_size = batch_size
        self._memory_type = "f32" if precise else kv_type
        self._lock = threading.RLock()
        self._hidden_states_on = False
        self._adapters = tuple(adapters)
        self._adapter = 0  # that is applied
        self._vector_type: Any = ctypes.c_float * model.vocab_size
        prefixes = [adapter for adapter in adapters if isinstance(adapter, Prefix)]
        self._prefixes: PrefixedSequences | None = None
        if prefixes:
            self._prefixes = PrefixedSequences(adapters, num_sequences, batch_size, kv_type)
        self._handle: Any = open_context(
            model,
            what="a context",
            size=context_size + sum(prefix.length for prefix in prefixes),
            batch_size=batch_size,
            num_threads=num_threads,
            n_seq_max=num_sequences + len(prefixes),
            kv_unified=True,
            offload_kqv=model.placement.kv_on_gpu,
            **_kv_options(kv_type, precise=precise),
        )
        self._memory = native.llama_get_memory(self._handle)
        self._abort_flag = _set_abort_flag(self._handle)
        self._batch = Batch(batch_size)
        if self._prefixes is not None:
            self._load_prefixes(self._prefixes)

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def piece(self, token_id: int) -> bytes:
        """Bytes that ``token_id`` stands for."""
        return self.model.piece(token_id)

    def new_sampler(self, params: SamplingParams, prompt_ids: Sequence[int]) -> Sampler:
        """Make a sampler for one sequence of this context."""
        return Sampler(params, prompt_ids=prompt_ids)

    def decode(
        self, spans: Sequence[Span], *, hidden_states: bool = False, adapter: int = 0
    ) -> list[int]:
        """Compute ``spans`` in one batch.

        Args:
            spans: at most ``batch_size`` tokens together.
            hidden_states: keep the hidden state of every token, for ``hidden_states()``.
            adapter: number of the adapter to compute with; 0 is the model alone. What a sequence
                has in the KV cache already must have been computed with the same.

        Returns:
            For each span the batch position of its last token, to sample at.

        Raises:
            DecodeError: llama.cpp failed; the spans' sequences are best removed.
            DecodeAbortedError: ``abort()`` was called meanwhile; some of the spans may be in the
                KV cache, and are best truncated.
        """
        with self._lock:
            handle = self._open_handle()
            offset = 0 if self._prefixes is None else self._prefixes.begin(spans, adapter)
            last_positions = self._batch.fill(spans, hidden_states=hidden_states, offset=offset)
            if hidden_states != self._hidden_states_on:
                native.llama_set_embeddings(handle, hidden_states)
                self._hidden_states_on = hidden_states
            if adapter != self._adapter:
                self._apply(adapter)
            self._abort_flag[0] = b"\0"
            with library.deferred_errors() as errors:
                code = native.llama_decode(handle, self._batch.native)
                if code == _ABORTED:
                    errors.clear()  # three lines that say that it was aborted
            if code == _ABORTED:
                raise DecodeAbortedError(code)
            if code != 0:
                raise DecodeError(code)
            native.llama_synchronize(handle)  # so that it has taken as long as it takes
            return last_positions

    def abort(self) -> None:
        """Stop a running ``decode()`` at once; does nothing if none runs. From any thread."""
        self._abort_flag[0] = b"\1"

    def sample(self, sampler: Sampler, index: int, allowed: Mask | None = None) -> int:
        """Sample the next token from the logits at batch position ``index`` of the last batch.

        ``allowed`` has a bit for each token that may be chosen; those beyond its end may not. The
        logits of the others are gone afterwards.
        """
        with self._lock:
            handle = self._open_handle()
            if allowed is not None:
                forbid(self._logits(index), allowed)
            return sampler.sample(handle, index, lambda: self._logits(index))

    def logprobs(self, index: int, token_id: int, num_top: int) -> TokenLogprobs:
        """Log probabilities at batch position ``index`` of the last ``decode()``.

        Returns:
            That of ``token_id``, and those of the ``num_top`` most probable tokens.
        """
        with self._lock:
            return token_logprobs(self._logits(index), token_id, num_top)

    def logits(self, start: int, num_positions: int) -> NDArray[np.float32]:
        """Logits of the last ``decode()``.

        Returns:
            A copy, ``[num_positions, vocab_size]``, from batch position ``start`` on.

        Raises:
            ModelError: none were kept at one of these positions.
        """
        with self._lock:
            return np.stack([self._logits(start + index) for index in range(num_positions)])

    def _logits(self, index: int) -> NDArray[np.float32]:
        """llama.cpp's own logits at a batch position, ``[vocab_size]``."""
        pointer = native.llama_get_logits_ith(self._open_handle(), index)
        if not pointer:
            raise ModelError("llama.cpp kept no logits at this position")
        return floats_at(pointer, self._vector_type)

    def hidden_states(self, start: int, num_tokens: int) -> NDArray[np.float32]:
        """Hidden states after the final norm, from the last ``decode(hidden_states=True)``.

        Returns:
            A copy, ``[num_tokens, embedding_length]``, from batch position ``start`` on.
        """
        with self._lock:
            pointer = native.llama_get_embeddings(self._open_handle())
            if not pointer:
                raise ModelError("llama.cpp kept no hidden states for the last batch")
            width = self.model.embedding_length
            states = floats_at(pointer, ctypes.c_float * ((start + num_tokens) * width))
            return np.array(states.reshape(-1, width)[start:])

    def copy(self, source_id: int, target_id: int, length: int) -> None:
        """Copy the first ``length`` tokens of a sequence to the empty sequence ``target_id``.

        Both share the cells of those tokens.
        """
        with self._lock:
            self._open_handle()
            if self._prefixes is not None:
                length += self._prefixes.copy(source_id, target_id)
            native.llama_memory_seq_cp(self._memory, source_id, target_id, 0, length)

    def truncate(self, sequence_id: int, length: int) -> None:
        """Remove the tokens of a sequence from position ``length`` on."""
        with self._lock:
            self._open_handle()
            if self._prefixes is not None:
                length = self._prefixes.truncate(sequence_id, length)
            native.llama_memory_seq_rm(self._memory, sequence_id, length, -1)

    def allocations(self) -> list[Allocation]:
        """Memory that this context and its model take, by kind of buffer.

        Raises:
            ModelError: this build of llama.cpp does not report it.
        """
        with self._lock:
            return allocations(self._open_handle())

    @property
    def state_keys(self) -> list[str]:
        """Keys of saved states: of the model alone, then of each adapter.

        They change with what states depend on besides their tokens: the weights, llama.cpp's layout
        of states, and the type of keys and values.
        """
        key = f"{self.model.fingerprint} {llama_cpp.__version__} {self._memory_type}"
        return [key, *(f"{key} {adapter.fingerprint}" for adapter in self._adapters)]

    def state(self, sequence_id: int) -> bytes | bytearray:
        """Keys and values of a sequence, for ``restore()``: 28 KiB a token for ChatGLM3-6B.

        Those of its prefix are not among them.
        """
        with self._lock:
            handle = self._open_handle()
            if self._prefixes is None:
                return read_state(handle, sequence_id)
            with self._prefixes.detached(sequence_id):
                return read_state(handle, sequence_id)

    def restore(self, sequence_id: int, state: bytes | bytearray, *, adapter: int = 0) -> bool:
        """Fill the empty sequence ``sequence_id`` with the result of ``state()``.

        The context must be of the same model and settings, and have enough free cells; a state that
        was computed with an adapter needs the same ``adapter``.

        Returns:
            Whether llama.cpp took it; if not, the sequence is empty.
        """
        with self._lock:
            if not write_state(self._open_handle(), sequence_id, state):
                return False
            if self._prefixes is not None:
                self._prefixes.attach(sequence_id, adapter)
            return True

    def close(self) -> None:
        """Free the KV cache, after a running call; later calls do nothing."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is None:
                return
            self._batch.close()
            close_context(self.model, handle)

    def _load_prefixes(self, prefixes: PrefixedSequences) -> None:
        try:
            prefixes.load(self._handle, self.model, self.decode)
        except BaseException:
            self.close()
            raise

    def _apply(self, adapter: int) -> None:
        if adapter:
            self._adapters[adapter - 1].apply(self._handle)
        else:
            apply_none(self._handle)
        self._adapter = adapter

    def _open_handle(self) -> Any:
        if self._handle is None:
            raise ResourceClosedError("the context is closed")
        return self._handle


def _kv_options(kv_type: str, *, precise: bool) -> dict[str, int]:
    """Fields of llama_context_params for the type of keys and values."""
    if precise:
        number, flash_attention = native.GGML_TYPE_F32, native.LLAMA_FLASH_ATTN_TYPE_DISABLED
    elif kv_type != "f16":  # values in blocks cannot be kept transposed
        number, flash_attention = _GGML_TYPES[kv_type], native.LLAMA_FLASH_ATTN_TYPE_ENABLED
    else:
        return {}
    return {"type_k": number, "type_v": number, "flash_attn_type": flash_attention}


def _set_abort_flag(handle: Any) -> Any:
    """A text that aborts the running batch of a context while it is not empty."""
    flag = ctypes.create_string_buffer(2)
    native.llama_set_abort_callback(
        handle, native.ggml_abort_callback(_STRLEN.value), ctypes.addressof(flag)
    )
    return flag
