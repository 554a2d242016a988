"""How long a batch may take, by what batches took before."""

import pytest

from glm3edge.llama.decode_timeout import DecodeTimeout


@pytest.mark.parametrize(
    ("stall", "measured", "num_tokens", "seconds"),
    [
        (20, [], 1, 120),  # nothing is known
        (300, [], 1, 300),
        (20, [(1, 0.2)], 1, 20),
        (20, [(1, 0.2)], 128, 51.2),
        (20, [(128, 64)], 128, 120),
        (20, [(128, 6.4)] * 3, 128, 20),
        (20, [(1, 30)], 1, 60),  # a slow one
        (200, [(128, 500)], 128, 200),
        (0.5, [(1, 0.001)], 8, 0.5),
        (20, [(1, 40)] + [(1, 0.1)] * 40, 128, 25.6),  # a hiccup long ago
    ],
)
def test_what_a_batch_may_take(
    stall: float, measured: list[tuple[int, float]], num_tokens: int, seconds: float
) -> None:
    timeout = DecodeTimeout(stall)
    for tokens, duration in measured:
        timeout.observe(tokens, duration)
    assert timeout.seconds(num_tokens) == pytest.approx(seconds, rel=0.02)
    timeout.reset()
    assert timeout.seconds(1) == timeout.longest == max(stall, 120)
