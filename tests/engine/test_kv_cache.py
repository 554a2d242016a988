from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from glm3edge.engine.kv_cache import KVCache, PrefixMatch
from tests.support.fakes import FakeBackend

SIZE = 20


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(context_size=SIZE)


@pytest.fixture
def kv_cache(backend: FakeBackend) -> KVCache:
    return KVCache(backend, num_slots=3)


def fill(
    kv_cache: KVCache, backend: FakeBackend, token_ids: Sequence[int], adapter: int = 0
) -> PrefixMatch:
    """Compute ``token_ids`` in a slot, as the engine does."""
    match = kv_cache.allocate(token_ids, adapter=adapter)
    compute(kv_cache, backend, match.slot, token_ids[match.length :], adapter)
    return match


def compute(
    kv_cache: KVCache, backend: FakeBackend, slot: int, token_ids: Sequence[int], adapter: int = 0
) -> None:
    kv_cache.append(slot, token_ids)
    backend.compute(slot, token_ids, adapter)


def test_a_second_turn_goes_on_in_the_slot_of_the_first(
    kv_cache: KVCache, backend: FakeBackend
) -> None:
    first = fill(kv_cache, backend, [1, 2, 3])
    kv_cache.release(first.slot)
    assert kv_cache.num_new_cells([1, 2, 3, 4, 5]) == 5
    assert kv_cache.allocate([1, 2, 3, 4, 5]) == (first.slot, 3)


def test_one_token_is_left_to_compute(kv_cache: KVCache, backend: FakeBackend) -> None:
    slot, _ = fill(kv_cache, backend, [1, 2, 3])
    kv_cache.release(slot)
    assert kv_cache.allocate([1, 2, 3]).length == 2


def test_another_branch_leaves_the_first_as_it_is(kv_cache: KVCache, backend: FakeBackend) -> None:
    first, _ = fill(kv_cache, backend, [1, 2, 3, 4])
    kv_cache.release(first)
    second = kv_cache.allocate([1, 2, 9, 9])
    assert second.slot != first
    assert second.length == 2
    assert backend.memory == {first: [1, 2, 3, 4], second.slot: [1, 2]}
    assert kv_cache.match_prefix([1, 2, 3, 4]) == (first, 4)


def test_what_runs_is_shared(kv_cache: KVCache, backend: FakeBackend) -> None:
    first, _ = fill(kv_cache, backend, [1, 2, 3, 4])
    assert kv_cache.num_new_cells([1, 2, 3, 9]) == 1
    second, length = kv_cache.allocate([1, 2, 3, 9])
    assert length == 3
    assert kv_cache.num_free == kv_cache.num_available == SIZE - 4
    kv_cache.release(first, keep=False)
    assert kv_cache.num_available == SIZE - 3
    assert backend.memory[second] == [1, 2, 3]


def test_what_was_used_longest_ago_loses_its_end_first(
    kv_cache: KVCache, backend: FakeBackend
) -> None:
    for start in (0, 100):
        slot, _ = fill(kv_cache, backend, list(range(start, start + 8)))
        kv_cache.release(slot)
    fill(kv_cache, backend, list(range(200, 210)))
    assert kv_cache.num_free == 0
    assert kv_cache.match_prefix(list(range(8))).length == 2
    assert kv_cache.match_prefix(list(range(100, 108))).length == 8


def test_without_an_empty_slot_the_oldest_idle_one_is_emptied(
    kv_cache: KVCache, backend: FakeBackend
) -> None:
    for start in (0, 100, 200):
        kv_cache.release(fill(kv_cache, backend, [start, start + 1]).slot)
    fill(kv_cache, backend, [300, 301])
    assert kv_cache.match_prefix([0, 1]).length == 0
    assert kv_cache.match_prefix([200, 201]).length == 2


def test_running_sequences_are_never_taken_from(kv_cache: KVCache, backend: FakeBackend) -> None:
    slot, _ = fill(kv_cache, backend, [1] * 15)
    other, _ = kv_cache.allocate([2] * 10)
    assert kv_cache.num_available == 5
    with pytest.raises(RuntimeError, match="no room for 6"):
        kv_cache.append(other, [2] * 6)
    assert kv_cache.length(slot) == 15
    kv_cache.allocate([3])
    with pytest.raises(RuntimeError, match="every slot is busy"):
        kv_cache.allocate([4])


def test_nothing_is_kept_of_what_must_not_be(kv_cache: KVCache, backend: FakeBackend) -> None:
    slot, _ = fill(kv_cache, backend, [1, 2, 3])
    kv_cache.release(slot, keep=False)
    assert kv_cache.match_prefix([1, 2, 3]).length == 0
    assert kv_cache.num_free == SIZE


def test_a_cut(kv_cache: KVCache, backend: FakeBackend) -> None:
    slot, _ = fill(kv_cache, backend, [1, 2, 3])
    kv_cache.truncate(slot, 1)
    assert kv_cache.num_available == SIZE - 1
    assert backend.memory[slot] == [1]


def test_what_one_adapter_computed_is_of_no_use_to_another(
    kv_cache: KVCache, backend: FakeBackend
) -> None:
    base, _ = fill(kv_cache, backend, [1, 2, 3, 4])
    assert kv_cache.match_prefix([1, 2, 3, 4], 1).length == 0
    assert kv_cache.num_new_cells([1, 2, 3, 4], 1) == 4
    other, length = fill(kv_cache, backend, [1, 2, 3, 4], adapter=1)
    assert (other != base, length) == (True, 0)
    kv_cache.release(base)
    kv_cache.release(other)
    assert kv_cache.match_prefix([1, 2, 3, 4]) == (base, 4)
    assert kv_cache.match_prefix([1, 2, 3, 4], 1) == (other, 4)
    assert kv_cache.allocate([1, 2, 3, 4, 5], adapter=1) == (other, 4)


def test_a_slot_changes_its_adapter(kv_cache: KVCache, backend: FakeBackend) -> None:
    for start in (0, 10, 20):
        kv_cache.release(fill(kv_cache, backend, [start, start + 1]).slot)
    slot, _ = fill(kv_cache, backend, [0, 1], adapter=2)
    kv_cache.release(slot)
    assert kv_cache.match_prefix([0, 1]).length == 0
    assert kv_cache.match_prefix([0, 1], 2) == (slot, 2)


class KVCacheMachine(RuleBasedStateMachine):
    """Whatever is done, the account agrees with what the backend holds, cell by cell."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = FakeBackend(context_size=SIZE)
        self.kv_cache = KVCache(self.backend, num_slots=4)
        self.busy: dict[int, list[int]] = {}
        self.adapters: dict[int, int] = {}

    @precondition(lambda self: len(self.busy) < 3)
    @rule(
        token_ids=st.lists(st.integers(1, 2), min_size=1, max_size=8),
        reuse=st.booleans(),
        adapter=st.integers(0, 1),
    )
    def start(self, token_ids: list[int], reuse: bool, adapter: int) -> None:
        num_cells = self.kv_cache.num_new_cells(token_ids, adapter) if reuse else len(token_ids)
        if num_cells > self.kv_cache.num_available:
            return
        available = self.kv_cache.num_available
        slot, length = self.kv_cache.allocate(token_ids, adapter=adapter, reuse=reuse)
        assert self.backend.memory.get(slot, []) == token_ids[:length]
        compute(self.kv_cache, self.backend, slot, token_ids[length:], adapter)
        self.adapters[slot] = adapter
        assert self.kv_cache.num_available == available - num_cells
        self.busy[slot] = token_ids

    @precondition(lambda self: self.busy and self.kv_cache.num_available)
    @rule(data=st.data(), token_id=st.integers(1, 2))
    def go_on(self, data: st.DataObject, token_id: int) -> None:
        slot = data.draw(st.sampled_from(sorted(self.busy)))
        compute(self.kv_cache, self.backend, slot, [token_id], self.adapters[slot])
        self.busy[slot] = [*self.busy[slot], token_id]

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), keep=st.booleans())
    def stop(self, data: st.DataObject, keep: bool) -> None:
        slot = data.draw(st.sampled_from(sorted(self.busy)))
        del self.busy[slot]
        self.kv_cache.release(slot, keep=keep)

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.busy)))
        length = data.draw(st.integers(0, len(self.busy[slot])))
        self.kv_cache.truncate(slot, length)
        self.busy[slot] = self.busy[slot][:length]

    @invariant()
    def what_runs_is_whole(self) -> None:
        for slot, token_ids in self.busy.items():
            assert self.backend.memory[slot] == token_ids
            assert self.kv_cache.length(slot) == len(token_ids)
            assert set(self.backend.computed_with[slot]) <= {self.adapters[slot]}
        assert self.kv_cache.num_busy_slots == len(self.busy)

    @invariant()
    def lengths_agree(self) -> None:
        for slot in range(4):
            assert self.kv_cache.length(slot) == len(self.backend.memory.get(slot, []))

    @invariant()
    def the_backend_is_never_overfull(self) -> None:
        held = self.backend.num_cells
        assert held == SIZE - self.kv_cache.num_free
        assert held <= SIZE


TestKVCacheMachine = KVCacheMachine.TestCase
TestKVCacheMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
