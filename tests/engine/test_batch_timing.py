import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.engine.batch_timing import BatchTiming


def measured(**seconds: float) -> BatchTiming:
    """A batch_timing that has seen batches of ``n1``, ``n8``... tokens."""
    batch_timing = BatchTiming(stretch=2.5)
    for name, value in seconds.items():
        batch_timing.observe(int(name[1:]), value)
    return batch_timing


def test_nothing_measured_takes_all() -> None:
    assert BatchTiming().seconds(100) == 0
    assert BatchTiming().prefill_budget(1, 64) == 64


@pytest.mark.parametrize(
    ("num_tokens", "seconds"), [(1, 1.0), (3, 2.0), (5, 3.0), (10, 6.0), (0, 1.0)]
)
def test_between_above_and_below_what_was_measured(num_tokens: int, seconds: float) -> None:
    assert measured(n1=1.0, n5=3.0).seconds(num_tokens) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("num_running", "limit", "room"),
    [(1, 64, 4), (1, 2, 2), (2, 64, 6), (4, 64, 9), (1, 0, 1), (64, 64, 64)],
)
def test_room(num_running: int, limit: int, room: int) -> None:
    """A base of 1 s and 0.5 s a token: with one running 1.5 s, so 3.75 s are allowed."""
    batch_timing = measured(n1=1.5, n64=33.0)
    assert batch_timing.prefill_budget(num_running, limit) == room


def test_new_measurements_count() -> None:
    batch_timing = measured(n1=1.0)
    for _ in range(50):
        batch_timing.observe(1, 2.0)
    assert batch_timing.seconds(1) == pytest.approx(2.0, rel=1e-3)


@given(
    st.lists(st.tuples(st.integers(1, 512), st.floats(0.001, 10)), max_size=20),
    st.integers(1, 64),
    st.integers(1, 512),
)
def test_there_is_always_room_for_one_and_never_for_more_than_asked(
    seen: list[tuple[int, float]], num_running: int, limit: int
) -> None:
    batch_timing = BatchTiming()
    for num_tokens, seconds in seen:
        batch_timing.observe(num_tokens, seconds)
    assert 1 <= batch_timing.prefill_budget(num_running, limit) <= limit
