"""Where conversations go, by the routing alone."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.remote.routing import LOAD_FACTOR, choose, conversation_key, ranking
from tests.support.fakes import ASSISTANT, GMASK, SOP, SYSTEM, USER, FakeVocabulary, spell

SPECIAL = SpecialTokens.of(FakeVocabulary())
START = [GMASK, SOP]


def key(*ids: int) -> bytes:
    return conversation_key([*START, *ids], SPECIAL)


def test_all_turns_of_a_conversation_have_one_key() -> None:
    first = [SYSTEM, *spell("tools"), USER, *spell("question"), ASSISTANT]
    assert key(*first) == key(*first, *spell("reply"), USER, *spell("more"), ASSISTANT)
    other = [SYSTEM, *spell("tools"), USER, *spell("questions"), ASSISTANT]
    assert key(*first) != key(*other)
    assert key(*first) != key(SYSTEM, *spell("t"), USER, *spell("question"), ASSISTANT)


def test_a_user_turn_without_end_counts_whole() -> None:
    assert key(USER, *spell("a" * 100)) != key(USER, *spell("a" * 99))


def test_text_is_told_apart_by_its_beginning() -> None:
    """A completion that is extended again and again finds its cache."""
    assert key(*spell("x" * 100)) == key(*spell("x" * 200)) != key(*spell("y" * 100))


@pytest.mark.parametrize("num_replicas", [2, 3, 8, 64])
def test_each_replica_gets_its_share(num_replicas: int) -> None:
    names = [f"http://10.0.0.{index}:8000/v1" for index in range(num_replicas)]
    firsts = Counter(ranking(b"%d" % index, names)[0] for index in range(200 * num_replicas))
    assert set(firsts) == set(names)
    assert max(firsts.values()) < 200 * 1.4  # four standard deviations


def test_a_replica_that_goes_moves_its_own_conversations_only() -> None:
    names = [f"http://10.0.0.{index}:8000/v1" for index in range(8)]
    for index in range(300):
        before = ranking(b"%d" % index, names)
        assert ranking(b"%d" % index, names[1:]) == [name for name in before if name != names[0]]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=16))
def test_the_first_that_has_room(loads: list[int]) -> None:
    names = [str(index) for index in range(len(loads))]
    found = int(choose(names, loads))
    most = LOAD_FACTOR * sum(loads) / len(loads)
    assert loads[found] <= most
    assert all(load > most for load in loads[:found])


def test_a_load_stays_in_proportion() -> None:
    """One conversation that everybody has at once fills all replicas alike."""
    names, loads, rng = [str(index) for index in range(8)], [0] * 8, random.Random(0)
    for step in range(2000):
        loads[int(choose(names, loads))] += 1
        if step > 100:
            busy = rng.choice([index for index, load in enumerate(loads) if load])
            loads[busy] -= 1
        assert max(loads) <= LOAD_FACTOR * (sum(loads) + 1) / 8 + 1, loads
