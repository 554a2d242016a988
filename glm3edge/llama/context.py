"""Context: decodes batches of tokens and owns the key/value memory of their sequences."""

import ctypes
import math
import os
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import llama_cpp
import llama_cpp.llama_cpp as native
import numpy as np
from numpy.typing import NDArray

from glm3edge.core import Mask, SamplingParams, Span, TokenLogprobs
from glm3edge.errors import DecodeAbortedError, DecodeError, ModelError, ResourceClosedError
from glm3edge.llama import library
from glm3edge.llama.adapter import Adapter, apply_none
from glm3edge.llama.allocations import Allocation, allocations
from glm3edge.llama.batch import Batch
from glm3edge.llama.handle import close_context, open_context
from glm3edge.llama.kv_state import State, unpack
from glm3edge.llama.model import Model
from glm3edge.llama.pointers import byte_pointer, floats_at
from glm3edge.llama.prefix import Prefix
from glm3edge.llama.sampler import Sampler

KV_TYPES = {
    "f16": native.GGML_TYPE_F16,
    "q8_0": native.GGML_TYPE_Q8_0,
    "q4_0": native.GGML_TYPE_Q4_0,
}
"""What keys and values can be kept in: 2 bytes a value, 34 bytes for 32 of them, or 18."""

_NEVER = -9999.0  # what OpenAI's API says of tokens that are out of the question
_ABORTED = 2  # what llama_decode returns then

# llama.cpp asks a callback between operations, thousands of times a batch, whether to stop. One in
# Python would wait for the interpreter's lock each time. C's strlen does as well: it returns 0 of
# an empty string and 1 of one with a character.
_STRLEN = ctypes.cast(ctypes.CDLL(None if os.name == "posix" else "msvcrt").strlen, ctypes.c_void_p)


class _Beginning(NamedTuple):
    """The positions that a prefix has, and the sequence that holds it for the others."""

    length: int
    sequence_id: int


_NOTHING = _Beginning(0, -1)


class Context:
    """A key/value memory over a model, with what computes into it.

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
        """Allocate the memory.

        Args:
            model: whose weights are used; it stays open as long as this context.
            context_size: tokens the memory holds, over all sequences.
            batch_size: tokens one ``decode()`` may take.
            num_sequences: sequences that share the memory.
            num_threads: compute threads.
            adapters: of the model, which ``decode()`` knows by number: the first is 1. Prefixes
                have memory of their own, besides ``context_size``.
            kv_type: one of KV_TYPES, what keys and values are kept in.
            precise: keep keys and values in f32 instead, and compute attention step by step.

        Raises:
            ModelError: llama.cpp could not make it, most often for lack of memory, or its states
                are not laid out as prefixes need it, or these are too many.
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
        self._beginnings = _beginnings(adapters, num_sequences)
        self._begun_with = [0] * num_sequences  # of each sequence, the adapter that has its prefix
        prefixes = [adapter for adapter in adapters if isinstance(adapter, Prefix)]
        if prefixes and num_sequences + len(prefixes) > batch_size:  # llama.cpp would abort
            raise ModelError(
                f"{len(prefixes)} prefixes and {num_sequences} sequences are more than the "
                f"{batch_size} that a context can have: serve fewer prefixes, or fewer in parallel"
            )
        if prefixes and kv_type != "f16":
            raise ModelError(f"prefixes cannot be put into keys and values in {kv_type}: take f16")
        self._vector_type: Any = ctypes.c_float * model.vocab_size
        precision: dict[str, int] = {}
        if precise:
            precision = dict.fromkeys(("type_k", "type_v"), native.GGML_TYPE_F32)
            precision["flash_attn_type"] = native.LLAMA_FLASH_ATTN_TYPE_DISABLED
        elif kv_type != "f16":  # values in blocks cannot be kept transposed
            precision = dict.fromkeys(("type_k", "type_v"), KV_TYPES[kv_type])
            precision["flash_attn_type"] = native.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self._handle: Any = open_context(
            model,
            what="a context",
            size=context_size + sum(prefix.length for prefix in prefixes),
            batch_size=batch_size,
            num_threads=num_threads,
            n_seq_max=num_sequences + len(prefixes),
            kv_unified=True,
            offload_kqv=model.placement.kv_on_gpu,
            **precision,
        )
        self._memory = native.llama_get_memory(self._handle)
        self._abort_flag = ctypes.create_string_buffer(2)
        native.llama_set_abort_callback(
            self._handle,
            native.ggml_abort_callback(_STRLEN.value),
            ctypes.addressof(self._abort_flag),
        )
        self._batch = Batch(batch_size)
        if prefixes:
            try:
                self._load(prefixes, num_sequences)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def piece(self, token_id: int) -> bytes:
        """Bytes that ``token_id`` stands for."""
        return self.model.piece(token_id)

    def new_sampler(self, params: SamplingParams, prompt_ids: Sequence[int]) -> Sampler:
        """A sampler for one sequence of this context."""
        return Sampler(params, prompt_ids=prompt_ids)

    def decode(
        self, spans: Sequence[Span], *, hidden_states: bool = False, adapter: int = 0
    ) -> list[int]:
        """Compute ``spans`` in one batch.

        Args:
            spans: at most ``batch_size`` tokens together.
            hidden_states: keep the hidden state of every token, for ``hidden_states()``.
            adapter: which one to compute with; 0 is the model alone. What a sequence has in memory
                already must have been computed with the same.

        Returns:
            For each span the batch position of its last token, to sample at.

        Raises:
            DecodeError: llama.cpp failed; the spans' sequences are best removed.
            DecodeAbortedError: ``abort()`` was called meanwhile; some of the spans may be in
                memory, and are best cut off.
        """
        with self._lock:
            handle = self._open_handle()
            num_before = self._beginnings[adapter].length
            if num_before:
                for span in spans:
                    if span.position == 0:
                        self._begin(span.sequence_id, adapter)
            last_positions = self._batch.fill(
                spans, hidden_states=hidden_states, num_before=num_before
            )
            if hidden_states != self._hidden_states_on:
                native.llama_set_embeddings(handle, hidden_states)
                self._hidden_states_on = hidden_states
            if adapter != self._adapter:
                self._apply(adapter)
            self._abort_flag[0] = b"\0"
            with library.held_errors() as errors:
                code = native.llama_decode(handle, self._batch.native)
                if code == _ABORTED:
                    errors.clear()  # that it was aborted, in three lines
            if code == _ABORTED:
                raise DecodeAbortedError(code)
            if code != 0:
                raise DecodeError(code)
            return last_positions

    def abort(self) -> None:
        """Stop a running ``decode()`` at once; without one it does nothing. From any thread."""
        self._abort_flag[0] = b"\1"

    def sample(self, sampler: Sampler, index: int, allowed: Mask | None = None) -> int:
        """The next token, from the logits at batch position ``index`` of the last ``decode()``.

        ``allowed`` has a bit for each token that may be chosen; those beyond its end may not. The
        logits of the others are gone afterwards.
        """
        with self._lock:
            handle = self._open_handle()
            if allowed is not None:
                forbid(self._logits(index), allowed)
            return sampler.sample(handle, index, lambda: self._logits(index))

    def logprobs(self, index: int, token_id: int, num_top: int) -> TokenLogprobs:
        """How likely ``token_id`` was after batch position ``index`` of the last ``decode()``.

        Returns:
            Its log probability, and those of the ``num_top`` most probable tokens.
        """
        with self._lock:
            return token_logprobs(self._logits(index), token_id, num_top)

    def logits(self, start: int, num_positions: int) -> NDArray[np.float32]:
        """Logits that the last ``decode()`` kept.

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
        """Let the empty sequence ``target_id`` begin with ``length`` tokens of another.

        They share the memory of those tokens.
        """
        with self._lock:
            self._open_handle()
            self._begun_with[target_id] = adapter = self._begun_with[source_id]
            length += self._beginnings[adapter].length
            native.llama_memory_seq_cp(self._memory, source_id, target_id, 0, length)

    def truncate(self, sequence_id: int, length: int) -> None:
        """Forget the tokens of a sequence from position ``length`` on, with all its prefix."""
        with self._lock:
            self._open_handle()
            if length:
                length += self._beginnings[self._begun_with[sequence_id]].length
            else:
                self._begun_with[sequence_id] = 0
            native.llama_memory_seq_rm(self._memory, sequence_id, length, -1)

    def allocations(self) -> list[Allocation]:
        """Memory that this context and its model take, by kind of buffer.

        Raises:
            ModelError: this build of llama.cpp does not tell.
        """
        with self._lock:
            return allocations(self._open_handle())

    @property
    def state_keys(self) -> list[str]:
        """What states depend on besides their tokens: the model, and llama.cpp's layout of them.

        The first is that of states computed with the model alone, the others of its adapters.
        """
        key = f"{self.model.fingerprint} {llama_cpp.__version__} {self._memory_type}"
        return [key, *(f"{key} {adapter.fingerprint}" for adapter in self._adapters)]

    def state(self, sequence_id: int) -> bytes:
        """Keys and values of a sequence, for ``restore()``: 28 KiB a token for ChatGLM3-6B.

        Those of its prefix are not among them.
        """
        with self._lock:
            self._open_handle()
            adapter = self._begun_with[sequence_id]
            if not (length := self._beginnings[adapter].length):
                return self._state(sequence_id)
            native.llama_memory_seq_rm(self._memory, sequence_id, 0, length)
            self._begun_with[sequence_id] = 0
            try:
                return self._state(sequence_id)
            finally:
                self._begin(sequence_id, adapter)

    def restore(self, sequence_id: int, state: bytes, *, adapter: int = 0) -> bool:
        """Fill the empty sequence ``sequence_id`` with what ``state()`` gave.

        The context must be of the same model and settings, and have the room; what was computed
        with an adapter needs the same ``adapter``.

        Returns:
            Whether llama.cpp took it; if not, the sequence is empty.
        """
        with self._lock:
            if not self._set_state(sequence_id, state):
                return False
            self._begin(sequence_id, adapter)
            return True

    def close(self) -> None:
        """Free the memory, after a running call; later calls do nothing."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is None:
                return
            self._batch.close()
            close_context(self.model, handle)

    def _begin(self, sequence_id: int, adapter: int) -> None:
        """Put the adapter's prefix, if it is one, before a sequence's tokens, unless it is there.

        It takes no room.
        """
        length, prefix_id = self._beginnings[adapter]
        if length and not self._begun_with[sequence_id]:
            native.llama_memory_seq_cp(self._memory, prefix_id, sequence_id, 0, length)
            self._begun_with[sequence_id] = adapter

    def _load(self, prefixes: Sequence[Prefix], first_id: int) -> None:
        """Fill sequences from ``first_id`` on, one for each prefix."""
        like = self._some_state(first_id)
        for sequence_id, prefix in enumerate(prefixes, first_id):
            state = prefix.state(like, sequence_id).pack()
            if not self._set_state(sequence_id, state) or self._state(sequence_id) != state:
                raise ModelError(f"llama.cpp did not take the prefix {prefix.path.name}")

    def _some_state(self, sequence_id: int) -> State:
        """How states are laid out, shown by one."""
        token_ids = [0] * min(2, self.batch_size)
        self.decode([Span(sequence_id, 0, token_ids, wants_output=False)])
        data = self._state(sequence_id)
        native.llama_memory_seq_rm(self._memory, sequence_id, 0, -1)
        try:
            return unpack(data, num_layers=self.model.num_layers, width=self.model.key_value_length)
        except ValueError as exc:
            raise ModelError(
                f"llama.cpp {llama_cpp.__version__} lays out its states in a way that prefixes "
                f"cannot be put into ({exc}): serve without --prefix"
            ) from exc

    def _state(self, sequence_id: int) -> bytes:
        handle = self._open_handle()
        size = native.llama_state_seq_get_size(handle, sequence_id)
        buffer = np.empty(size, np.uint8)
        written = native.llama_state_seq_get_data(handle, byte_pointer(buffer), size, sequence_id)
        return buffer[:written].tobytes()

    def _set_state(self, sequence_id: int, state: bytes) -> bool:
        handle, data = self._open_handle(), np.frombuffer(state, np.uint8)
        pointer = byte_pointer(data)
        return bool(native.llama_state_seq_set_data(handle, pointer, len(data), sequence_id))

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


def _beginnings(adapters: Sequence[Adapter | Prefix], next_id: int) -> list[_Beginning]:
    """Of each adapter, and of none, the prefix; their sequences are counted from ``next_id``."""
    beginnings = [_NOTHING]
    for adapter in adapters:
        if isinstance(adapter, Prefix):
            beginnings.append(_Beginning(adapter.length, next_id))
            next_id += 1
        else:
            beginnings.append(_NOTHING)
    return beginnings


def forbid(logits: NDArray[np.float32], allowed: Mask) -> None:
    """Take the tokens without a bit in ``allowed`` out of ``logits``, ``[vocab_size]``."""
    bits = np.unpackbits(allowed, count=min(8 * len(allowed), len(logits)), bitorder="little")
    logits[: len(bits)][bits == 0] = -np.inf
    logits[len(bits) :] = -np.inf


def token_logprobs(logits: NDArray[np.float32], token_id: int, num_top: int) -> TokenLogprobs:
    """Logarithms of the softmax of ``logits``, ``[vocab_size]``: of one token, and the largest.

    What was taken out of the logits has ``_NEVER``, as JSON has no infinity.
    """
    largest = float(logits.max())
    total = largest + math.log(float(np.exp(logits - largest).sum(dtype=np.float64)))
    top: NDArray[np.int64] = np.empty(0, np.int64)
    if num_top:
        best = np.argpartition(logits, -num_top)[-num_top:]
        top = best[np.argsort(-logits[best], kind="stable")]
    return TokenLogprobs(
        max(float(logits[token_id]) - total, _NEVER),
        tuple((int(best_id), max(float(logits[best_id]) - total, _NEVER)) for best_id in top),
    )
