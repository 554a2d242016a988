"""Batch: llama.cpp's arrays of tokens to compute, filled from spans of sequences."""

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as native

from glm3edge.core import Span


class Batch:
    """llama.cpp's batch arrays, allocated once and refilled."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.native = native.llama_batch_init(capacity, 0, 1)
        self._token_ids = _as_array(self.native.token, ctypes.c_int32, capacity)
        self._positions = _as_array(self.native.pos, ctypes.c_int32, capacity)
        self._wants_output = _as_array(self.native.logits, ctypes.c_int8, capacity)
        for index in range(capacity):
            self.native.n_seq_id[index] = 1
        self._sequence_ids = [self.native.seq_id[index] for index in range(capacity)]

    def fill(self, spans: Sequence[Span], *, hidden_states: bool, offset: int = 0) -> list[int]:
        """Write ``spans`` into the arrays, ``offset`` positions behind their own.

        Returns:
            The batch position of each span's last token.
        """
        num_tokens = sum(len(span.token_ids) for span in spans)
        if not 0 < num_tokens <= self._capacity:
            raise ValueError(f"a batch takes 1 to {self._capacity} tokens, not {num_tokens}")
        start, last_positions = 0, []
        for span in spans:
            start = self._put(span, start, offset, hidden_states=hidden_states)
            last_positions.append(start - 1)
        self.native.n_tokens = start
        return last_positions

    def _put(self, span: Span, start: int, offset: int, *, hidden_states: bool) -> int:
        count = len(span.token_ids)
        end = start + count
        position = span.position + offset
        if count == 1:  # the usual case, without slices
            self._token_ids[start] = span.token_ids[0]
            self._positions[start] = position
            self._wants_output[start] = hidden_states or span.wants_output
            self._sequence_ids[start][0] = span.sequence_id
            return end
        self._token_ids[start:end] = span.token_ids
        self._positions[start:end] = range(position, position + count)
        self._wants_output[start:end] = [int(hidden_states)] * count
        if span.wants_output and not hidden_states:
            num_outputs = span.num_drafts + 1
            self._wants_output[end - num_outputs : end] = [1] * num_outputs
        for index in range(start, end):
            self._sequence_ids[index][0] = span.sequence_id
        return end

    def close(self) -> None:
        native.llama_batch_free(self.native)


def _as_array(pointer: Any, element: Any, length: int) -> Any:
    """A ctypes array over ``pointer``'s memory: unlike the pointer it takes slice assignment."""
    return (element * length).from_address(ctypes.addressof(pointer.contents))
