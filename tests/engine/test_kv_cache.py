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
def memory(backend: FakeBackend) -> KVCache:
    return KVCache(backend, num_slots=3)


def fill(
    memory: KVCache, backend: FakeBackend, token_ids: Sequence[int], adapter: int = 0
) -> PrefixMatch:
    """Compute ``token_ids`` in a slot, as the engine does."""
    match = memory.take(token_ids, adapter=adapter)
    compute(memory, backend, match.slot, token_ids[match.length :], adapter)
    return match


def compute(
    memory: KVCache, backend: FakeBackend, slot: int, token_ids: Sequence[int], adapter: int = 0
) -> None:
    memory.append(slot, token_ids)
    backend.compute(slot, token_ids, adapter)


def test_a_second_turn_goes_on_in_the_slot_of_the_first(
    memory: KVCache, backend: FakeBackend
) -> None:
    first = fill(memory, backend, [1, 2, 3])
    memory.release(first.slot)
    assert memory.cost([1, 2, 3, 4, 5]) == 5
    assert memory.take([1, 2, 3, 4, 5]) == (first.slot, 3)


def test_one_token_is_left_to_compute(memory: KVCache, backend: FakeBackend) -> None:
    slot, _ = fill(memory, backend, [1, 2, 3])
    memory.release(slot)
    assert memory.take([1, 2, 3]).length == 2


def test_another_branch_leaves_the_first_as_it_is(memory: KVCache, backend: FakeBackend) -> None:
    first, _ = fill(memory, backend, [1, 2, 3, 4])
    memory.release(first)
    second = memory.take([1, 2, 9, 9])
    assert second.slot != first
    assert second.length == 2
    assert backend.memory == {first: [1, 2, 3, 4], second.slot: [1, 2]}
    assert memory.match([1, 2, 3, 4]) == (first, 4)


def test_what_runs_is_shared(memory: KVCache, backend: FakeBackend) -> None:
    first, _ = fill(memory, backend, [1, 2, 3, 4])
    assert memory.cost([1, 2, 3, 9]) == 1
    second, length = memory.take([1, 2, 3, 9])
    assert length == 3
    assert memory.num_free == memory.num_available == SIZE - 4
    memory.release(first, keep=False)
    assert memory.num_available == SIZE - 3
    assert backend.memory[second] == [1, 2, 3]


def test_what_was_used_longest_ago_loses_its_end_first(
    memory: KVCache, backend: FakeBackend
) -> None:
    for start in (0, 100):
        slot, _ = fill(memory, backend, list(range(start, start + 8)))
        memory.release(slot)
    fill(memory, backend, list(range(200, 210)))
    assert memory.num_free == 0
    assert memory.match(list(range(8))).length == 2
    assert memory.match(list(range(100, 108))).length == 8


def test_without_an_empty_slot_the_oldest_idle_one_is_emptied(
    memory: KVCache, backend: FakeBackend
) -> None:
    for start in (0, 100, 200):
        memory.release(fill(memory, backend, [start, start + 1]).slot)
    fill(memory, backend, [300, 301])
    assert memory.match([0, 1]).length == 0
    assert memory.match([200, 201]).length == 2


def test_running_sequences_are_never_taken_from(memory: KVCache, backend: FakeBackend) -> None:
    slot, _ = fill(memory, backend, [1] * 15)
    other, _ = memory.take([2] * 10)
    assert memory.num_available == 5
    with pytest.raises(RuntimeError, match="no room for 6"):
        memory.append(other, [2] * 6)
    assert memory.length(slot) == 15
    memory.take([3])
    with pytest.raises(RuntimeError, match="every slot is busy"):
        memory.take([4])


def test_nothing_is_kept_of_what_must_not_be(memory: KVCache, backend: FakeBackend) -> None:
    slot, _ = fill(memory, backend, [1, 2, 3])
    memory.release(slot, keep=False)
    assert memory.match([1, 2, 3]).length == 0
    assert memory.num_free == SIZE


def test_a_cut(memory: KVCache, backend: FakeBackend) -> None:
    slot, _ = fill(memory, backend, [1, 2, 3])
    memory.cut(slot, 1)
    assert memory.num_available == SIZE - 1
    assert backend.memory[slot] == [1]


def test_what_one_adapter_computed_is_of_no_use_to_another(
    memory: KVCache, backend: FakeBackend
) -> None:
    base, _ = fill(memory, backend, [1, 2, 3, 4])
    assert memory.match([1, 2, 3, 4], 1).length == 0
    assert memory.cost([1, 2, 3, 4], 1) == 4
    other, length = fill(memory, backend, [1, 2, 3, 4], adapter=1)
    assert (other != base, length) == (True, 0)
    memory.release(base)
    memory.release(other)
    assert memory.match([1, 2, 3, 4]) == (base, 4)
    assert memory.match([1, 2, 3, 4], 1) == (other, 4)
    assert memory.take([1, 2, 3, 4, 5], adapter=1) == (other, 4)


def test_a_slot_changes_its_adapter(memory: KVCache, backend: FakeBackend) -> None:
    for start in (0, 10, 20):
        memory.release(fill(memory, backend, [start, start + 1]).slot)
    slot, _ = fill(memory, backend, [0, 1], adapter=2)
    memory.release(slot)
    assert memory.match([0, 1]).length == 0
    assert memory.match([0, 1], 2) == (slot, 2)


class MemoryMachine(RuleBasedStateMachine):
    """Whatever is done, the account agrees with what the backend holds, cell by cell."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = FakeBackend(context_size=SIZE)
        self.memory = KVCache(self.backend, num_slots=4)
        self.busy: dict[int, list[int]] = {}
        self.adapters: dict[int, int] = {}

    @precondition(lambda self: len(self.busy) < 3)
    @rule(
        token_ids=st.lists(st.integers(1, 2), min_size=1, max_size=8),
        reuse=st.booleans(),
        adapter=st.integers(0, 1),
    )
    def start(self, token_ids: list[int], reuse: bool, adapter: int) -> None:
        cost = self.memory.cost(token_ids, adapter) if reuse else len(token_ids)
        if cost > self.memory.num_available:
            return
        available = self.memory.num_available
        slot, length = self.memory.take(token_ids, adapter=adapter, reuse=reuse)
        assert self.backend.memory.get(slot, []) == token_ids[:length]
        compute(self.memory, self.backend, slot, token_ids[length:], adapter)
        self.adapters[slot] = adapter
        assert self.memory.num_available == available - cost
        self.busy[slot] = token_ids

    @precondition(lambda self: self.busy and self.memory.num_available)
    @rule(data=st.data(), token_id=st.integers(1, 2))
    def go_on(self, data: st.DataObject, token_id: int) -> None:
        slot = data.draw(st.sampled_from(sorted(self.busy)))
        compute(self.memory, self.backend, slot, [token_id], self.adapters[slot])
        self.busy[slot] = [*self.busy[slot], token_id]

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), keep=st.booleans())
    def stop(self, data: st.DataObject, keep: bool) -> None:
        slot = data.draw(st.sampled_from(sorted(self.busy)))
        del self.busy[slot]
        self.memory.release(slot, keep=keep)

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.busy)))
        length = data.draw(st.integers(0, len(self.busy[slot])))
        self.memory.cut(slot, length)
        self.busy[slot] = self.busy[slot][:length]

    @invariant()
    def what_runs_is_whole(self) -> None:
        for slot, token_ids in self.busy.items():
            assert self.backend.memory[slot] == token_ids
            assert self.memory.length(slot) == len(token_ids)
            assert set(self.backend.computed_with[slot]) <= {self.adapters[slot]}
        assert self.memory.num_busy_slots == len(self.busy)

    @invariant()
    def lengths_agree(self) -> None:
        for slot in range(4):
            assert self.memory.length(slot) == len(self.backend.memory.get(slot, []))

    @invariant()
    def the_backend_is_never_overfull(self) -> None:
        held = self.backend.num_cells
        assert held == SIZE - self.memory.num_free
        assert held <= SIZE


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
