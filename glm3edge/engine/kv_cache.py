"""KVCache: which tokens are in which slot of the key/value memory, and how much of it is free."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from glm3edge.engine.backend import Backend
from glm3edge.engine.disk_cache import DiskCache, Entry, Ids, num_common

_SPARE_SHARE = 32
"""Where cells are taken from idle slots, it is this part of all of them more than is needed."""

MIN_SAVED_TOKENS = 32
"""Fewer tokens are computed as fast as they are read."""


class PrefixMatch(NamedTuple):
    """The slot with the longest common beginning, and its length in tokens."""

    slot: int
    length: int


class KVCache:
    """Keeps account of the backend's memory, and is the only one to change it.

    A slot is a sequence id of the backend. It is busy while a sequence runs in it. Afterwards its
    tokens stay, for whoever comes with the same beginning, until their cells are needed: then the
    slot that was used longest ago loses its end. A cell holds one token, for one slot or for
    several that begin alike. Keys and values depend on the adapter they are computed with, so what
    one has computed is of no use to another.
    """

    def __init__(
        self,
        backend: Backend[Any],
        *,
        num_slots: int,
        disk: DiskCache | None = None,
        grain: int = 1,
    ) -> None:
        """All slots are empty.

        Args:
            backend: which has ``num_slots`` sequences.
            num_slots: texts that are held at once, running ones included.
            disk: where texts are kept that have to go, and looked for.
            grain: tokens are reused in whole multiples of it.
        """
        self._grain = grain
        self._backend = backend
        self._disk = disk
        self._size = backend.context_size
        self._ids = np.zeros((num_slots, self._size), np.int32)
        self._cells = np.zeros((num_slots, self._size), np.int32)
        self._clear(num_slots)

    def _clear(self, num_slots: int) -> None:
        self._saved_lengths = [0] * num_slots  # of each slot, how much is on disk
        self._adapters = [0] * num_slots  # what each slot's tokens are computed with
        self._lengths = [0] * num_slots
        self._busy = [False] * num_slots
        self._used_at = [0] * num_slots
        self._clock = 0
        self._holders = np.zeros(self._size, np.int16)  # slots, of each cell
        self._busy_holders = np.zeros(self._size, np.int16)  # and those of them that are busy
        self._num_busy_cells = 0  # that have a busy holder
        self._free = list(range(self._size))

    def clear(self) -> None:
        """The backend has lost everything: all slots are empty and none is busy."""
        self._clear(len(self._lengths))

    @property
    def num_free(self) -> int:
        """Cells that hold nothing."""
        return len(self._free)

    @property
    def num_available(self) -> int:
        """Cells that hold nothing, or nothing that a running sequence needs."""
        return self._size - self._num_busy_cells

    @property
    def num_busy_slots(self) -> int:
        """Slots that sequences run in."""
        return sum(self._busy)

    def length(self, slot: int) -> int:
        """Tokens in ``slot``."""
        return self._lengths[slot]

    def match(self, token_ids: Sequence[int], adapter: int = 0) -> PrefixMatch:
        """Where most of the beginning of ``token_ids`` is already computed with ``adapter``."""
        ids = np.asarray(token_ids, np.int32)
        return max(
            (
                PrefixMatch(slot, self._common(slot, ids) if computed_with == adapter else 0)
                for slot, computed_with in enumerate(self._adapters)
            ),
            key=lambda match: match.length,
        )

    def cost(self, token_ids: Sequence[int], adapter: int = 0) -> int:
        """Cells that running ``token_ids`` takes from what is available."""
        slot, length = self._reusable(token_ids, adapter)
        held = np.count_nonzero(self._busy_holders[self._cells[slot, :length]])
        return len(token_ids) - int(held)

    def take(
        self, token_ids: Sequence[int], *, adapter: int = 0, reuse: bool = True
    ) -> PrefixMatch:
        """A slot to run ``token_ids`` in with ``adapter``, and how many of them it has already.

        At least one is left to compute, because the next token is sampled from its logits.

        Raises:
            RuntimeError: every slot is busy.
        """
        if reuse:
            self._restore(token_ids, adapter)
        source, length = self._reusable(token_ids, adapter) if reuse else PrefixMatch(0, 0)
        slot = source
        if length == 0 or self._busy[source] or self._lengths[source] > length:
            slot = self._vacant(keep=source if length else None)
            if length and slot != source:
                self._share(source, slot, length)
        self._truncate(slot, length)
        self._adapters[slot] = adapter
        self._busy[slot] = True
        self._occupy(self._cells[slot, :length])
        return PrefixMatch(slot, length)

    def append(self, slot: int, token_ids: Sequence[int] | Ids) -> None:
        """Account for tokens that are about to be computed, after making room for them.

        Raises:
            RuntimeError: they are more than ``num_available``.
        """
        count = len(token_ids)
        self._make_room(count)
        start = self._lengths[slot]
        place: Any = slice(start, start + count)
        cells: Any = self._free[-count:]
        del self._free[-count:]
        if count == 1:  # the usual case: slices take three times as long
            place, (cells,) = start, cells
        self._ids[slot, place] = token_ids if count > 1 else token_ids[0]
        self._cells[slot, place] = cells
        self._holders[cells] = self._busy_holders[cells] = 1  # they were free
        self._num_busy_cells += count
        self._lengths[slot] = start + count

    def cut(self, slot: int, length: int) -> None:
        """Forget the tokens of a busy slot from ``length`` on."""
        self._truncate(slot, length)

    def release(self, slot: int, *, keep: bool = True) -> None:
        """The sequence has left its slot; its tokens stay for others if ``keep``."""
        if not keep:
            self._truncate(slot, 0)
        self._vacate(self._cells[slot, : self._lengths[slot]])
        self._busy[slot] = False
        self._touch(slot)

    def save_idle(self) -> None:
        """Hand to the disk cache what idle slots have and it has not."""
        for slot, busy in enumerate(self._busy):
            if not busy:
                self._save(slot)

    def _save(self, slot: int) -> None:
        length = self._lengths[slot]
        if self._disk is None or length < self._saved_lengths[slot] + MIN_SAVED_TOKENS:
            return
        ids = self._ids[slot, :length]
        adapter = self._adapters[slot]
        if not self._disk.holds(ids, adapter):
            self._disk.save(ids, self._backend.state(slot), adapter)
        self._saved_lengths[slot] = length

    def _restore(self, token_ids: Sequence[int], adapter: int) -> None:
        """Bring the beginning of ``token_ids`` from disk, where that is worth the while."""
        if self._disk is None:
            return
        entry, length = self._disk.match(token_ids, adapter)
        known = self.match(token_ids, adapter).length
        if entry is None or length < known + MIN_SAVED_TOKENS:
            return
        if len(entry.token_ids) <= self.num_available and (state := self._disk.load(entry)):
            self._put(entry, state)

    def _put(self, entry: Entry, state: bytes) -> None:
        """An idle slot with what the disk had."""
        slot = self._vacant(keep=None)
        self._truncate(slot, 0)
        self._adapters[slot] = entry.adapter
        self._busy[slot] = True
        self.append(slot, entry.token_ids)
        is_restored = self._backend.restore(slot, state, adapter=entry.adapter)
        self._saved_lengths[slot] = len(entry.token_ids)
        self.release(slot, keep=is_restored)

    def _reusable(self, token_ids: Sequence[int], adapter: int) -> PrefixMatch:
        slot, length = self.match(token_ids[:-1], adapter)
        return PrefixMatch(slot, length - length % self._grain)

    def _common(self, slot: int, ids: Ids) -> int:
        return num_common(self._ids[slot, : self._lengths[slot]], ids)

    def _vacant(self, *, keep: int | None) -> int:
        """An empty slot, or the idle one that was used longest ago, ``keep`` only if need be."""
        idle = [slot for slot, busy in enumerate(self._busy) if not busy]
        if not idle:
            raise RuntimeError("every slot is busy")
        return min(
            idle,
            key=lambda slot: (slot == keep, self._lengths[slot] > 0, self._used_at[slot]),
        )

    def _share(self, source: int, slot: int, length: int) -> None:
        """Let ``slot`` begin as ``source`` does; it takes no cells."""
        self._truncate(slot, 0)
        self._backend.copy(source, slot, length)
        cells = self._cells[source, :length]
        self._ids[slot, :length] = self._ids[source, :length]
        self._cells[slot, :length] = cells
        self._holders[cells] += 1
        self._lengths[slot] = length
        self._touch(source)

    def _truncate(self, slot: int, length: int) -> None:
        if self._lengths[slot] <= length:
            return
        if not self._busy[slot]:
            self._save(slot)
        self._saved_lengths[slot] = min(self._saved_lengths[slot], length)
        cells = self._cells[slot, length : self._lengths[slot]]
        if self._busy[slot]:
            self._vacate(cells)
        self._holders[cells] -= 1
        self._free += cells[self._holders[cells] == 0].tolist()
        self._lengths[slot] = length
        self._backend.truncate(slot, length)

    def _occupy(self, cells: Ids) -> None:
        """One more busy slot holds ``cells``."""
        self._num_busy_cells += int(np.count_nonzero(self._busy_holders[cells] == 0))
        self._busy_holders[cells] += 1

    def _vacate(self, cells: Ids) -> None:
        """One busy slot less holds ``cells``."""
        self._busy_holders[cells] -= 1
        self._num_busy_cells -= int(np.count_nonzero(self._busy_holders[cells] == 0))

    def _make_room(self, count: int) -> None:
        """Have ``count`` cells free. Idle slots lose more than that at once, because it is slow."""
        if count <= len(self._free):
            return
        wanted = count + self._size // _SPARE_SHARE
        idle = [slot for slot, busy in enumerate(self._busy) if not busy and self._lengths[slot]]
        for slot in sorted(idle, key=self._used_at.__getitem__):
            missing = wanted - len(self._free)
            if missing <= 0:
                return
            self._shorten(slot, missing)
        if count > len(self._free):
            raise RuntimeError(f"no room for {count} tokens")

    def _shorten(self, slot: int, missing: int) -> None:
        """Cut ``slot`` where that frees ``missing`` cells, or empty it."""
        own = np.flatnonzero(self._holders[self._cells[slot, : self._lengths[slot]]] == 1)
        self._truncate(slot, int(own[-missing]) if len(own) >= missing else 0)

    def _touch(self, slot: int) -> None:
        self._clock += 1
        self._used_at[slot] = self._clock
