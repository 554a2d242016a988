"""Statistics of small cases worked out by hand, and what holds of any."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from glm3edge.commands.verify.statistics import (
    Estimate,
    Tokens,
    compare,
    join,
    kl_divergence,
    log_softmax,
    mean,
    perplexity,
    summarize,
)

pytestmark = pytest.mark.slow

Floats = NDArray[np.float32]

LOGITS = arrays(np.float32, (3, 7), elements=st.floats(-80, 80, width=32))


def logs(*rows: list[float]) -> NDArray[np.float64]:
    """Logarithms of probabilities."""
    return np.asarray(np.log(np.array(rows)))


def pair(estimate: Estimate) -> tuple[float, float]:
    """Value and error, to be compared approximately."""
    return estimate.value, estimate.error


def test_kl_divergence_by_hand() -> None:
    original, found = logs([0.5, 0.5], [0.9, 0.1]), logs([0.25, 0.75], [0.9, 0.1])
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert kl_divergence(original, found) == pytest.approx([expected, 0], abs=1e-15)
    back = 0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2)
    assert kl_divergence(found, original)[0] == pytest.approx(back)


def test_a_token_by_hand() -> None:
    original = np.log(np.array([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]], np.float32))
    found = np.log(np.array([[0.25, 0.5, 0.25], [0.25, 0.25, 0.5]], np.float32))
    tokens = compare(original, found + np.float32(3), [0, 2])
    assert tokens.kl == pytest.approx(
        [0.5 * math.log(2) - 0.25 * math.log(2), -0.25 * math.log(2) + 0.75 * math.log(1.5)],
        rel=1e-6,
    )
    assert tokens.original_nll == pytest.approx([math.log(2), -math.log(0.75)], rel=1e-6)
    assert tokens.nll == pytest.approx([math.log(4), math.log(2)], rel=1e-6)
    assert tokens.same_top.tolist() == [False, True]
    assert tokens.logit_difference == pytest.approx([3 + math.log(2), 3 + math.log(2)], rel=1e-6)


def test_a_summary_by_hand() -> None:
    tokens = Tokens(
        kl=np.array([0.0, 0.1, 0.2, 0.5]),
        original_nll=np.log([2.0, 2.0, 8.0, 8.0]),
        nll=np.log([4.0, 4.0, 16.0, 16.0]),
        same_top=np.array([True, True, False, True]),
        logit_difference=np.array([0.25, 1.5, 0.5, 1.0]),
    )
    summary = summarize(tokens)
    deviation = math.sqrt((0.2**2 + 0.1**2 + 0.0**2 + 0.3**2) / 3)
    assert summary.num_tokens == 4
    assert pair(summary.mean_kl) == pytest.approx((0.2, deviation / 2), abs=1e-12)
    assert summary.p99_kl == pytest.approx(0.2 + 0.97 * 0.3)
    assert summary.max_kl == 0.5
    assert pair(summary.same_top) == pytest.approx((0.75, 0.25), abs=1e-12)
    error = math.log(2) * math.sqrt(4 / 3) / 2  # of the mean of log 2, log 2, log 8, log 8
    assert pair(summary.original_perplexity) == pytest.approx((4, 4 * error), abs=1e-12)
    assert pair(summary.perplexity) == pytest.approx((8, 8 * error), abs=1e-12)
    # Each token is half as probable, so nothing is uncertain about the ratio.
    assert pair(summary.perplexity_ratio) == pytest.approx((2, 0), abs=1e-12)
    assert summary.max_logit_difference == 1.5


def test_means_and_perplexities() -> None:
    assert pair(mean(np.array([1.0, 3.0]))) == pytest.approx((2.0, 1.0))
    assert perplexity(np.array([0.0, 0.0])) == Estimate(1.0, 0.0)


@given(LOGITS, LOGITS)
def test_kl_is_never_negative(original: Floats, found: Floats) -> None:
    tokens = compare(original, found, [0, 1, 2])
    assert (tokens.kl >= 0).all()
    assert np.isfinite(tokens.kl).all()


@given(LOGITS)
def test_equal_models_do_not_diverge(logits: Floats) -> None:
    tokens = compare(logits, logits, [6, 5, 4])
    summary = summarize(tokens)
    assert (tokens.kl == 0).all()
    assert tokens.same_top.all()
    assert summary.perplexity_ratio == Estimate(1.0, 0.0)
    assert summary.max_logit_difference == 0


@given(LOGITS, st.floats(-50, 50))
def test_a_constant_changes_no_distribution(logits: Floats, constant: float) -> None:
    shifted = logits.astype(np.float64) + constant
    assert kl_divergence(log_softmax(logits.astype(np.float64)), log_softmax(shifted)) == (
        pytest.approx(np.zeros(3), abs=1e-9)
    )


@given(arrays(np.float64, (4, 9), elements=st.floats(-700, 700)))
def test_probabilities_add_up(logits: NDArray[np.float64]) -> None:
    assert np.exp(log_softmax(logits)).sum(axis=-1) == pytest.approx(np.ones(4))


@given(arrays(np.float32, (130, 3), elements=st.floats(-9, 9, width=32)), st.integers(1, 129))
def test_parts_join_to_the_whole(logits: Floats, place: int) -> None:
    """The rows are more than one chunk, cut anywhere."""
    found, targets = logits[::-1], [n % 3 for n in range(130)]
    whole = compare(logits, found, targets)
    parts = join(
        [
            compare(logits[:place], found[:place], targets[:place]),
            compare(logits[place:], found[place:], targets[place:]),
        ]
    )
    np.testing.assert_array_equal(parts.kl, whole.kl)
    np.testing.assert_array_equal(parts.nll, whole.nll)
    np.testing.assert_array_equal(parts.same_top, whole.same_top)
