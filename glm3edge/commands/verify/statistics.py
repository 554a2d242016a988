"""Differences between two models' predictions, at each token and in statistics.

Standard errors assume that tokens are independent; those of one text are not quite.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK = 64  # rows whose probabilities are in memory at once, in float64


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean, or a function of one, and its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """Differences at each predicted token; arrays of one length.

    Attributes:
        kl: Kullback-Leibler divergence of the file's distribution from the original's, in nats.
        original_nll: negative log likelihood of the token, by the original.
        nll: negative log likelihood of the token, by the file.
        same_top: whether the most probable token is the same.
        logit_difference: largest difference of two logits, over the vocabulary.
    """

    kl: NDArray[np.float64]
    original_nll: NDArray[np.float64]
    nll: NDArray[np.float64]
    same_top: NDArray[np.bool_]
    logit_difference: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of a text.

    Attributes:
        num_tokens: predicted tokens.
        mean_kl: of the Kullback-Leibler divergences, in nats a token.
        p99_kl: their 99th percentile.
        max_kl: the largest.
        same_top: share of the tokens where the most probable token is the same.
        original_perplexity: of the original on this text.
        perplexity: of the file.
        perplexity_ratio: the file's to the original's; its error is far below that of either, as
            both predict the same tokens.
        max_logit_difference: the largest difference of two logits.
    """

    num_tokens: int
    mean_kl: Estimate
    p99_kl: float
    max_kl: float
    same_top: Estimate
    original_perplexity: Estimate
    perplexity: Estimate
    perplexity_ratio: Estimate
    max_logit_difference: float


def compare(
    original: NDArray[np.float32], found: NDArray[np.float32], targets: Sequence[int]
) -> Tokens:
    """Compare two models' logits, ``[len(targets), vocab_size]``, for the tokens ``targets``."""
    rows = range(0, len(targets), _CHUNK)
    return join(
        _compare_chunk(
            original[start : start + _CHUNK].astype(np.float64),
            found[start : start + _CHUNK].astype(np.float64),
            np.array(targets[start : start + _CHUNK]),
        )
        for start in rows
    )


def join(parts: Iterable[Tokens]) -> Tokens:
    """Concatenate the differences of several texts."""
    found = list(parts)
    return Tokens(
        np.concatenate([part.kl for part in found]),
        np.concatenate([part.original_nll for part in found]),
        np.concatenate([part.nll for part in found]),
        np.concatenate([part.same_top for part in found]),
        np.concatenate([part.logit_difference for part in found]),
    )


def summarize(tokens: Tokens) -> Summary:
    """Compute the statistics of ``tokens``, of which there must be two at least."""
    return Summary(
        num_tokens=len(tokens.kl),
        mean_kl=mean(tokens.kl),
        p99_kl=float(np.quantile(tokens.kl, 0.99)),
        max_kl=float(tokens.kl.max()),
        same_top=mean(tokens.same_top.astype(np.float64)),
        original_perplexity=perplexity(tokens.original_nll),
        perplexity=perplexity(tokens.nll),
        perplexity_ratio=perplexity(tokens.nll - tokens.original_nll),
        max_logit_difference=float(tokens.logit_difference.max()),
    )


def mean(values: NDArray[np.float64]) -> Estimate:
    """Mean of ``values`` and its standard error."""
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)))


def perplexity(nll: NDArray[np.float64]) -> Estimate:
    """Perplexity: the exponential of the mean of ``nll``, with its error to first order.

    For differences of two models' ``nll`` it is the ratio of their perplexities.
    """
    exponent = mean(nll)
    value = float(np.exp(exponent.value))
    return Estimate(value, value * exponent.error)


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of the probabilities, along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def kl_divergence(original: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divergence of ``found`` from ``original``, both log probabilities, along the last axis.

    It is never negative, not even by rounding.
    """
    return np.asarray(np.maximum((np.exp(original) * (original - found)).sum(axis=-1), 0.0))


def _compare_chunk(
    original: NDArray[np.float64], found: NDArray[np.float64], targets: NDArray[np.int64]
) -> Tokens:
    places = np.arange(len(targets))
    expected, given = log_softmax(original), log_softmax(found)
    return Tokens(
        kl=kl_divergence(expected, given),
        original_nll=-expected[places, targets],
        nll=-given[places, targets],
        same_top=original.argmax(axis=-1) == found.argmax(axis=-1),
        logit_difference=np.abs(original - found).max(axis=-1),
    )
