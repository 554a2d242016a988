"""BatchTiming: how long batches take, and so how much of a prompt may join running replies."""

import bisect
from dataclasses import dataclass

_SMOOTHING = 0.25
"""Weight of a new measurement."""


@dataclass(slots=True)
class _Measured:
    """Running means over batches of similar size."""

    num_tokens: float
    seconds: float


class BatchTiming:
    """Learns from measured batches, by size class.

    On a processor a batch's time grows with its tokens, steeply after the first few, and how
    steeply depends on machine, model and quantization: so it is measured and not assumed.
    """

    def __init__(self, *, stretch: float = 2.5) -> None:
        """Start without measurements.

        ``stretch`` is how many times longer than without a prompt a step of running replies may
        take with one.
        """
        self._stretch = stretch
        self._classes: dict[int, _Measured] = {}
        self._known: list[_Measured] = []  # in the order of their sizes, which do not overlap

    def observe(self, num_tokens: int, seconds: float) -> None:
        """A batch of ``num_tokens`` took ``seconds``."""
        key = _size_class(num_tokens)
        mean = self._classes.get(key)
        if mean is None:
            self._classes[key] = _Measured(num_tokens, seconds)
            self._known = sorted(self._classes.values(), key=_num_tokens)
            return
        mean.num_tokens += _SMOOTHING * (num_tokens - mean.num_tokens)
        mean.seconds += _SMOOTHING * (seconds - mean.seconds)

    def seconds(self, num_tokens: int) -> float:
        """How long a batch of ``num_tokens`` will take; 0 before anything was measured.

        Between measured sizes by interpolation; above them in proportion, which is too long
        rather than too short; below them as the smallest.
        """
        known = self._known
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
        """Tokens of prompts that may join a batch of ``num_running`` replies: 1 to ``limit``."""
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
    """Eight classes of their own for the smallest, then two for each doubling."""
    if num_tokens <= 8:
        return num_tokens
    doubling = num_tokens.bit_length()
    return 8 + 2 * doubling + (num_tokens >> (doubling - 2) & 1)
