"""Penalties and the native chain against Hugging Face's formulas, written out in NumPy."""

import ctypes
from collections import Counter
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
import pytest
from numpy.typing import NDArray

from glm3edge.core import SamplingParams
from glm3edge.llama import library
from glm3edge.llama.penalties import Penalties
from glm3edge.llama.sampler import Sampler

VOCAB_SIZE = 64
OFF: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}
LOGITS = np.random.default_rng(0).normal(size=VOCAB_SIZE).astype(np.float32) * 3


@pytest.fixture(autouse=True, scope="module")
def _started() -> None:
    library.start()


def candidates(
    params: SamplingParams, prompt_ids: Sequence[int] = (), output_ids: Sequence[int] = ()
) -> dict[int, float]:
    """Probabilities of the tokens that the chain leaves."""
    sampler = Sampler(params, prompt_ids=prompt_ids)
    for token_id in output_ids:
        sampler.penalties.accept(token_id)
    data = (native.llama_token_data * VOCAB_SIZE)()
    logits = LOGITS.copy()
    with sampler.penalties.applied(logits):
        for token_id, logit in enumerate(logits):
            data[token_id] = native.llama_token_data(token_id, float(logit), 0.0)
    assert (logits == LOGITS).all()
    array = native.llama_token_data_array(data, VOCAB_SIZE, -1, False)
    native.llama_sampler_apply(sampler._chain, ctypes.byref(array))
    left = [array.data[n] for n in range(array.size)]
    sampler.close()
    return {item.id: item.p for item in left}


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    exp = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: NDArray[np.float64] = exp / exp.sum()
    return probabilities


def reference(
    params: SamplingParams, prompt_ids: Sequence[int], output_ids: Sequence[int]
) -> dict[int, float]:
    """What transformers' processors do in their order, with OpenAI's penalties after the first."""
    logits = LOGITS.astype(np.float64).copy()
    for token_id in {*prompt_ids, *output_ids}:
        factor = params.repetition_penalty
        logits[token_id] *= 1 / factor if logits[token_id] > 0 else factor
    for token_id, count in Counter(output_ids).items():
        logits[token_id] -= params.presence_penalty + count * params.frequency_penalty
    logits /= params.temperature
    if params.top_k:
        logits[np.argsort(-logits)[params.top_k :]] = -np.inf
    order = np.argsort(-logits)
    total = np.cumsum(softmax(logits)[order])
    logits[order[1:][total[:-1] >= params.top_p]] = -np.inf
    probabilities = softmax(logits)
    return {int(n): float(probabilities[n]) for n in np.flatnonzero(probabilities)}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.8},
        {"temperature": 1.7},
        {"top_k": 5},
        {"top_p": 0.8},
        {"top_p": 0.0},
        {"top_k": 50, "top_p": 0.8, "temperature": 0.8},
        {"repetition_penalty": 1.1},
        {"repetition_penalty": 0.8},
        {"presence_penalty": 1.0},
        {"frequency_penalty": 0.7},
        {"presence_penalty": -0.5, "frequency_penalty": 0.3, "repetition_penalty": 1.3},
        {"temperature": 0.8, "top_k": 10, "top_p": 0.9, "repetition_penalty": 1.1},
    ],
    ids=str,
)
def test_probabilities(options: dict[str, Any]) -> None:
    params = SamplingParams(**{**OFF, **options})
    prompt_ids, output_ids = [1, 2, 3, 4, 5, 5], [5, 6, 7, 7, 7]
    found = candidates(params, prompt_ids, output_ids)
    expected = reference(params, prompt_ids, output_ids)
    assert found.keys() == expected.keys()
    for token_id, probability in expected.items():
        assert found[token_id] == pytest.approx(probability, abs=1e-5)


def test_min_p_keeps_what_is_near_the_best() -> None:
    params = SamplingParams(**{**OFF, "min_p": 0.5})
    probabilities = softmax(LOGITS)
    kept = set(np.flatnonzero(probabilities >= 0.5 * probabilities.max()).tolist())
    assert candidates(params).keys() == kept


def test_biases_are_added_before_all_else() -> None:
    banned, liked = int(np.argmax(LOGITS)), 7
    biased = LOGITS.copy()
    biased[banned] -= 100
    biased[liked] += 3
    found = candidates(SamplingParams(**OFF, logit_bias=((banned, -100.0), (liked, 3.0))))
    expected = np.exp(biased - biased.max()) / np.exp(biased - biased.max()).sum()
    for token_id, probability in found.items():
        assert probability == pytest.approx(float(expected[token_id]), abs=1e-5)
    assert found.get(banned, 0.0) == pytest.approx(0, abs=1e-9)


def test_many_different_tokens() -> None:
    penalties = Penalties(SamplingParams(**{**OFF, "repetition_penalty": 2.0}), range(300))
    for token_id in range(200, 500):
        penalties.accept(token_id)
    logits = np.ones(600, np.float32)
    with penalties.applied(logits):
        assert (logits == [0.5] * 500 + [1.0] * 100).all()
    assert (logits == 1).all()
