"""Measured durations of batches, and the prefill budget that follows from them."""

import bisect
from dataclasses import dataclass

_SMOOTHING = 0.25
"""Weight of a new measurement."""


@dataclass(slots=True)
class _Measured:
    """Running means of tokens and duration over batches of a size class."""

    num_tokens: float
    seconds: float


class BatchTiming:
    """Predicts the duration of a batch from measured batches, by size class.

    On a processor the duration grows with the tokens, steeply after the first few, and how steeply
    depends on machine, model and quantization: so it is measured and not assumed.
    """

    def __init__(self, *, stretch: float = 2.5) -> None:
        """Create a predictor without measurements.

        Args:
            stretch: how many times longer a step of decoding sequences may take with a prefill in
                its batch than without.
        """
        self._stretch = stretch
        self._classes: dict[int, _Measured] = {}
        self._sorted: list[_Measured] = []  # by size; classes do not overlap

    def observe(self, num_tokens: int, seconds: float) -> None:
        """Add a measurement: a batch of ``num_tokens`` took ``seconds``."""
        key = _size_class(num_tokens)
        mean = self._classes.get(key)
        if mean is None:
            self._classes[key] = _Measured(num_tokens, seconds)
            self._sorted = sorted(self._classes.values(), key=_num_tokens)
            return
        mean.num_tokens += _SMOOTHING * (num_tokens - mean.num_tokens)
        mean.seconds += _SMOOTHING * (seconds - mean.seconds)

    def seconds(self, num_tokens: int) -> float:
        """Expected duration of a batch of ``num_tokens``; 0 before anything was measured.

        Interpolated between measured sizes; in proportion above them, which is too long rather
        than too short; that of the smallest below them.
        """
        known = self._sorted
        if not known:
            return 0.0
        index = bisect.bisect_left(known, float(num_tokens), key=_num_tokens)
        if index == 0:
            return known[0].seconds
        low = known[index - 1]
        if index == len(known):
            return low.seconds * num_tokens / low.num_tokens
        high = known[index]
        share = (num_tokens - low.num_tokens) / (high.num_tokens - low.num_tokens)
        return low.seconds + share * (high.seconds - low.seconds)

    def prefill_budget(self, num_running: int, limit: int) -> int:
        """Prefill budget beside ``num_running`` decoding sequences, in tokens: 1 to ``limit``."""
        allowed = self._stretch * self.seconds(num_running)
        low, high = 1, max(limit, 1)
        while low < high:
            middle = (low + high + 1) // 2
            if self.seconds(num_running + middle) <= allowed:
                low = middle
            else:
                high = middle - 1
        return low


def _num_tokens(mean: _Measured) -> float:
    return mean.num_tokens


def _size_class(num_tokens: int) -> int:
    """Class of a batch size: one for each size up to 8, then two for each doubling."""
    if num_tokens <= 8:
        return num_tokens
    doubling = num_tokens.bit_length()
    return 8 + 2 * doubling + (num_tokens >> (doubling - 2) & 1)
