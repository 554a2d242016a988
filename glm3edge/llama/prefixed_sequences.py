"""Prefixed sequences: sequences of a context that begin with a P-Tuning prefix.

Each prefix is loaded once, into a sequence of its own behind the context's. Sequences that begin
with it share its cells of the KV cache, so it takes no more of them. Their tokens stand behind it:
positions are those that callers count, plus its length.

    sequence    0                       1                       n         n+1
    KV cache    prefix 1, its tokens    prefix 2, its tokens    prefix 1  prefix 2
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as native

from glm3edge.core import Span
from glm3edge.errors import ModelError
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.kv_state import State, read_state, unpack, write_state
from glm3edge.llama.model import Model
from glm3edge.llama.prefix import Prefix

Decode = Callable[[Sequence[Span]], Any]


class PrefixedSequences:
    """Prefixes of a context, and the sequences that begin with each.

    A sequence gets its prefix with its first token and keeps it until it is empty. Adapters are
    known by number, as in ``Context.decode()``; those that are no prefixes change no sequence.
    """

    def __init__(
        self,
        adapters: Sequence[Adapter | Prefix],
        num_sequences: int,
        batch_size: int,
        kv_type: str,
    ) -> None:
        """Check that a context of these settings can have prefixes; ``load()`` adds them to it.

        Raises:
            ModelError: there are too many prefixes, or keys and values are not in f16.
        """
        self._prefixes = {
            number: adapter
            for number, adapter in enumerate(adapters, 1)
            if isinstance(adapter, Prefix)
        }
        num_prefixes = len(self._prefixes)
        if num_sequences + num_prefixes > batch_size:  # llama.cpp would abort
            raise ModelError(
                f"{num_prefixes} prefixes and {num_sequences} sequences are more than the "
                f"{batch_size} that a context can have: serve fewer prefixes, or fewer in parallel"
            )
        if kv_type != "f16":
            raise ModelError(f"prefixes cannot be put into keys and values in {kv_type}: use f16")
        self._prefix_ids = {number: num_sequences + n for n, number in enumerate(self._prefixes)}
        self._adapters = [0] * num_sequences  # whose prefix each sequence begins with
        self._memory: Any = None

    def load(self, handle: Any, model: Model, decode: Decode) -> None:
        """Load the prefixes into a new context, given by its handle and its ``decode()``.

        Raises:
            ModelError: this llama.cpp lays out states in another way, or did not take a prefix.
        """
        self._memory = native.llama_get_memory(handle)
        example = self._example_state(handle, model, decode)
        for number, prefix in self._prefixes.items():
            sequence_id = self._prefix_ids[number]
            state = prefix.state(example, sequence_id).pack()
            is_taken = write_state(handle, sequence_id, state)
            if not is_taken or read_state(handle, sequence_id) != state:
                raise ModelError(f"llama.cpp did not take the prefix {prefix.path.name}")

    def begin(self, spans: Sequence[Span], adapter: int) -> int:
        """Put the adapter's prefix before those spans that begin a sequence.

        Returns:
            Length of the prefix, by which all positions are shifted.
        """
        length = self._length(adapter)
        if length:
            for span in spans:
                if span.position == 0:
                    self.attach(span.sequence_id, adapter)
        return length

    def attach(self, sequence_id: int, adapter: int) -> None:
        """Put the adapter's prefix before a sequence's tokens, unless the sequence has one."""
        if (length := self._length(adapter)) and not self._adapters[sequence_id]:
            prefix_id = self._prefix_ids[adapter]
            native.llama_memory_seq_cp(self._memory, prefix_id, sequence_id, 0, length)
            self._adapters[sequence_id] = adapter

    def copy(self, source_id: int, target_id: int) -> int:
        """Record that ``target_id`` begins with the prefix of ``source_id``; returns its length."""
        adapter = self._adapters[target_id] = self._adapters[source_id]
        return self._length(adapter)

    def truncate(self, sequence_id: int, length: int) -> int:
        """Positions of a sequence that is cut to ``length`` tokens; an empty one has no prefix."""
        if length:
            return length + self._length(self._adapters[sequence_id])
        self._adapters[sequence_id] = 0
        return 0

    @contextmanager
    def detached(self, sequence_id: int) -> Iterator[None]:
        """Remove a sequence's prefix for the time of a ``with`` block."""
        adapter = self._adapters[sequence_id]
        if length := self._length(adapter):
            native.llama_memory_seq_rm(self._memory, sequence_id, 0, length)
            self._adapters[sequence_id] = 0
        try:
            yield
        finally:
            self.attach(sequence_id, adapter)

    def _length(self, adapter: int) -> int:
        prefix = self._prefixes.get(adapter)
        return 0 if prefix is None else prefix.length

    def _example_state(self, handle: Any, model: Model, decode: Decode) -> State:
        """The state of a sequence of two tokens, which shows how llama.cpp lays out states."""
        sequence_id = next(iter(self._prefix_ids.values()))
        decode([Span(sequence_id, 0, [0, 0], wants_output=False)])
        data = read_state(handle, sequence_id)
        native.llama_memory_seq_rm(self._memory, sequence_id, 0, -1)
        try:
            return unpack(data, num_layers=model.num_layers, width=model.key_value_length)
        except ValueError as exc:
            raise ModelError(
                f"llama.cpp {llama_cpp.__version__} lays out its states in a way that prefixes "
                f"cannot be put into ({exc}): serve without --prefix"
            ) from exc
