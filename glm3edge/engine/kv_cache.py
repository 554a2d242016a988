"""KV cache of the context: which tokens are in which slot, and how many cells are free."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from glm3edge.engine.backend import Backend
from glm3edge.engine.disk_cache import DiskCache, Entry, common_prefix_length
from glm3edge.engine.state_file import Ids

NUM_IDLE_SLOTS = 48
"""Slots whose tokens are kept after their requests, for prompts with the same prefix."""

MIN_SAVED_TOKENS = 32
"""Tokens that a state on disk must save; fewer are computed as fast as they are read."""

_SPARE_SHARE = 32
"""One of so many cells is freed beyond what is needed, because eviction is slow."""


def num_slots(max_running: int) -> int:
    """Slots that a backend needs for an engine that runs ``max_running`` sequences."""
    return max_running + NUM_IDLE_SLOTS


class PrefixMatch(NamedTuple):
    """The slot with the longest common prefix, and its length in tokens."""

    slot: int
    length: int


class KVCache:
    """Bookkeeping of the backend's KV cache, which nothing else changes.

    A slot is a sequence id of the backend. It is busy while a sequence runs in it. Afterwards it
    keeps its tokens for prompts with the same prefix, until their cells are needed: the slot that
    was used least recently is evicted first, from its end. A cell holds one token, and slots with a
    common prefix share its cells. Keys and values depend on the adapter they are computed with, so
    a prefix is reused only with the same adapter.
    """

    def __init__(
        self,
        backend: Backend[Any],
        *,
        num_slots: int,
        disk: DiskCache | None = None,
        block_size: int = 1,
    ) -> None:
        """Create a cache of empty slots.

        Args:
            backend: context with ``num_slots`` sequences.
            num_slots: slots, those of running sequences included.
            disk: where evicted prefixes are saved and looked for.
            block_size: prefixes are reused in whole multiples of so many tokens.
        """
        self._block_size = block_size
        self._backend = backend
        self._disk = disk
        self._num_failures = 0  # of the disk cache, when slots were saved last
        self._size = backend.context_size
        self._ids = np.zeros((num_slots, self._size), np.int32)
        self._cells = np.zeros((num_slots, self._size), np.int32)
        self._reset(num_slots)

    def _reset(self, num_slots: int) -> None:
        self._saved_lengths = [0] * num_slots  # tokens of each slot that the disk cache has had
        self._adapters = [0] * num_slots  # that each slot's tokens are computed with
        self._lengths = [0] * num_slots
        self._busy = [False] * num_slots
        self._last_used = [0] * num_slots  # by the clock
        self._clock = 0
        self._ref_counts = np.zeros(self._size, np.int16)  # slots that use each cell
        self._busy_ref_counts = np.zeros(self._size, np.int16)  # busy slots among them
        self._num_busy_cells = 0
        self._free_cells = list(range(self._size))

    def clear(self) -> None:
        """Mark all slots as empty and idle, after the backend has lost them."""
        self._reset(len(self._lengths))

    @property
    def num_free(self) -> int:
        """Cells that hold nothing."""
        return len(self._free_cells)

    @property
    def num_available(self) -> int:
        """Cells that are free or only used by idle slots."""
        return self._size - self._num_busy_cells

    @property
    def num_busy_slots(self) -> int:
        """Slots that sequences run in."""
        return sum(self._busy)

    def length(self, slot: int) -> int:
        """Number of tokens in ``slot``."""
        return self._lengths[slot]

    def match_prefix(self, token_ids: Sequence[int], adapter: int = 0) -> PrefixMatch:
        """Longest prefix of ``token_ids`` that is cached for ``adapter``."""
        ids = np.asarray(token_ids, np.int32)
        return max(
            (
                PrefixMatch(slot, self._common(slot, ids) if computed_with == adapter else 0)
                for slot, computed_with in enumerate(self._adapters)
            ),
            key=lambda match: match.length,
        )

    def num_new_cells(self, token_ids: Sequence[int], adapter: int = 0) -> int:
        """Available cells that running ``token_ids`` would use."""
        slot, length = self._match_blocks(token_ids, adapter)
        num_shared = np.count_nonzero(self._busy_ref_counts[self._cells[slot, :length]])
        return len(token_ids) - int(num_shared)

    def allocate(
        self, token_ids: Sequence[int], *, adapter: int = 0, reuse: bool = True
    ) -> PrefixMatch:
        """Allocate a slot to run ``token_ids`` in; returns it with the length of the cached prefix.

        At least one token is left to compute, because the next is sampled from its logits. Without
        ``reuse`` all are.

        Raises:
            RuntimeError: every slot is busy.
        """
        if reuse:
            self._load_prefix(token_ids, adapter)
        source, length = self._match_blocks(token_ids, adapter) if reuse else PrefixMatch(0, 0)
        slot = source
        if length == 0 or self._busy[source] or self._lengths[source] > length:
            slot = self._select_idle_slot(avoid=source if length else None)
            if length and slot != source:
                self._copy_prefix(source, slot, length)
        self.truncate(slot, length)
        self._adapters[slot] = adapter
        self._busy[slot] = True
        self._add_busy_refs(self._cells[slot, :length])
        return PrefixMatch(slot, length)

    def append(self, slot: int, token_ids: Sequence[int] | Ids) -> None:
        """Give cells to tokens that are about to be computed, evicting idle ones if need be.

        Raises:
            RuntimeError: they are more than ``num_available``.
        """
        count = len(token_ids)
        if count > len(self._free_cells):
            self._evict(count)
        start = self._lengths[slot]
        place: Any = slice(start, start + count)
        cells: Any = self._free_cells[-count:]
        del self._free_cells[-count:]
        if count == 1:  # the usual case: slices take three times as long
            place, (cells,) = start, cells
        self._ids[slot, place] = token_ids if count > 1 else token_ids[0]
        self._cells[slot, place] = cells
        self._ref_counts[cells] = self._busy_ref_counts[cells] = 1  # they were free
        self._num_busy_cells += count
        self._lengths[slot] = start + count

    def truncate(self, slot: int, length: int) -> None:
        """Remove the tokens of ``slot`` from position ``length`` on, if it has any there."""
        if self._lengths[slot] <= length:
            return
        if not self._busy[slot]:
            self._save(slot)
        self._saved_lengths[slot] = min(self._saved_lengths[slot], length)
        cells = self._cells[slot, length : self._lengths[slot]]
        if self._busy[slot]:
            self._drop_busy_refs(cells)
        self._ref_counts[cells] -= 1
        self._free_cells += cells[self._ref_counts[cells] == 0].tolist()
        self._lengths[slot] = length
        self._backend.truncate(slot, length)

    def release(self, slot: int, *, keep: bool = True) -> None:
        """Mark a busy slot as idle; its tokens stay cached if ``keep``."""
        if not keep:
            self.truncate(slot, 0)
        self._drop_busy_refs(self._cells[slot, : self._lengths[slot]])
        self._busy[slot] = False
        self._mark_used(slot)

    def save_idle(self, *, timeout: float | None = 0.0) -> bool:
        """Save to disk what idle slots have and the disk cache has not had.

        What it has evicted since is not written again: it would evict the others.

        Args:
            timeout: seconds to wait for the disk before each state; None waits as long as it takes.

        Returns:
            Whether all could be; the rest may be later, once the disk has written those before it.
        """
        if self._disk is not None and self._disk.num_failures != self._num_failures:
            self._num_failures = self._disk.num_failures
            self._saved_lengths = [0] * len(self._saved_lengths)
        idle = [slot for slot, busy in enumerate(self._busy) if not busy]
        idle.sort(key=self._last_used.__getitem__)
        are_saved = [
            self._save(slot, timeout=timeout)
            for slot in idle
            if self._lengths[slot] >= self._saved_lengths[slot] + MIN_SAVED_TOKENS
        ]
        return all(are_saved)

    def _save(self, slot: int, *, timeout: float | None = 0.0) -> bool:
        length = self._lengths[slot]
        if self._disk is None or length < MIN_SAVED_TOKENS:
            return True
        ids, adapter = self._ids[slot, :length], self._adapters[slot]
        if length < self._disk.match_prefix(ids, adapter)[1] + MIN_SAVED_TOKENS:
            return True
        if not self._disk.wait_for_room(length, timeout):
            return False
        self._disk.save(ids, self._backend.state(slot), adapter)
        self._saved_lengths[slot] = length
        return True

    def _load_prefix(self, token_ids: Sequence[int], adapter: int) -> None:
        """Load the longest prefix of ``token_ids`` from disk, if that saves enough tokens."""
        if self._disk is None:
            return
        entry, length = self._disk.match_prefix(token_ids, adapter)
        num_cached = self.match_prefix(token_ids, adapter).length
        if entry is None or length < num_cached + MIN_SAVED_TOKENS:
            return
        if len(entry.token_ids) <= self.num_available and (state := self._disk.load(entry)):
            self._restore(entry, state)

    def _restore(self, entry: Entry, state: bytes | bytearray) -> None:
        """Restore a state into an idle slot."""
        slot = self._select_idle_slot()
        self.truncate(slot, 0)
        self._adapters[slot] = entry.adapter
        self._busy[slot] = True
        self.append(slot, entry.token_ids)
        is_restored = self._backend.restore(slot, state, adapter=entry.adapter)
        self._saved_lengths[slot] = len(entry.token_ids)
        self.release(slot, keep=is_restored)

    def _match_blocks(self, token_ids: Sequence[int], adapter: int) -> PrefixMatch:
        """``match_prefix()`` in whole blocks, and without the last token."""
        slot, length = self.match_prefix(token_ids[:-1], adapter)
        return PrefixMatch(slot, length - length % self._block_size)

    def _common(self, slot: int, ids: Ids) -> int:
        return common_prefix_length(self._ids[slot, : self._lengths[slot]], ids)

    def _select_idle_slot(self, *, avoid: int | None = None) -> int:
        """An empty slot, or the least recently used idle one; ``avoid`` only if there is no other.

        Raises:
            RuntimeError: every slot is busy.
        """
        idle = [slot for slot, busy in enumerate(self._busy) if not busy]
        if not idle:
            raise RuntimeError("every slot is busy")
        return min(
            idle,
            key=lambda slot: (slot == avoid, self._lengths[slot] > 0, self._last_used[slot]),
        )

    def _copy_prefix(self, source: int, slot: int, length: int) -> None:
        """Replace the tokens of ``slot`` by a prefix of ``source``, whose cells they share."""
        self.truncate(slot, 0)
        self._backend.copy(source, slot, length)
        cells = self._cells[source, :length]
        self._ids[slot, :length] = self._ids[source, :length]
        self._cells[slot, :length] = cells
        self._ref_counts[cells] += 1
        self._lengths[slot] = length
        self._mark_used(source)

    def _add_busy_refs(self, cells: Ids) -> None:
        """Count one more busy slot that uses ``cells``."""
        self._num_busy_cells += int(np.count_nonzero(self._busy_ref_counts[cells] == 0))
        self._busy_ref_counts[cells] += 1

    def _drop_busy_refs(self, cells: Ids) -> None:
        """Count one busy slot less that uses ``cells``."""
        self._busy_ref_counts[cells] -= 1
        self._num_busy_cells -= int(np.count_nonzero(self._busy_ref_counts[cells] == 0))

    def _evict(self, count: int) -> None:
        """Free ``count`` cells and some more, from the least recently used idle slots.

        Raises:
            RuntimeError: they are more than ``num_available``.
        """
        wanted = count + self._size // _SPARE_SHARE
        idle = [slot for slot, busy in enumerate(self._busy) if not busy and self._lengths[slot]]
        for slot in sorted(idle, key=self._last_used.__getitem__):
            missing = wanted - len(self._free_cells)
            if missing <= 0:
                return
            self._evict_from(slot, missing)
        if count > len(self._free_cells):
            raise RuntimeError(f"no room for {count} tokens")

    def _evict_from(self, slot: int, count: int) -> None:
        """Truncate ``slot`` where that frees ``count`` cells, or empty it."""
        own = np.flatnonzero(self._ref_counts[self._cells[slot, : self._lengths[slot]]] == 1)
        self.truncate(slot, int(own[-count]) if len(own) >= count else 0)

    def _mark_used(self, slot: int) -> None:
        self._clock += 1
        self._last_used[slot] = self._clock
