import numpy as np
import pytest

from glm3edge.llama.logits import forbid, token_logprobs


def test_logprobs_of_a_known_distribution() -> None:
    logits = np.log(np.array([0.1, 0.6, 0.3], np.float32)) + 50
    told = token_logprobs(logits, 2, 2)
    assert told.logprob == pytest.approx(np.log(0.3), abs=1e-4)
    assert [token_id for token_id, _ in told.top] == [1, 2]
    assert token_logprobs(logits, 0, 3).top[2][0] == 0


@pytest.mark.parametrize(
    ("mask", "kept"), [([0b101], [0, 2]), ([0, 0b10], [9]), ([0xFF] * 4, list(range(10))), ([], [])]
)
def test_forbidden_tokens_have_no_probability(mask: list[int], kept: list[int]) -> None:
    """The mask may be shorter or longer than the vocabulary."""
    logits = np.zeros(10, np.float32)
    forbid(logits, np.array(mask, np.uint8))
    assert np.flatnonzero(logits == 0).tolist() == kept
    for token_id in set(range(10)) - set(kept) if kept else ():
        assert token_logprobs(logits, token_id, 0).logprob == -9999
