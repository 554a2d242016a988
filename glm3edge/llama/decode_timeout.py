"""Timeout of a batch that is computed elsewhere: for how long no answer may be slowness."""

_FIRST_SECONDS = 120.0
"""Timeout of a batch before any was measured, and the longest unless a longer one is asked for."""

_TOLERANCE = 2.0
"""How many times as long as expected a batch may take."""

_SMOOTHING = 0.25
"""Weight of a new measurement."""


class DecodeTimeout:
    """Seconds that a batch may take: ``stall_seconds``, or more where batches are that slow.

    While a worker computes a batch nothing comes from it that would tell it from a frozen one, so
    its progress is judged by the speed that it had.

    Attributes:
        longest: seconds that no timeout exceeds.
    """

    def __init__(self, stall_seconds: float) -> None:
        """Create one without measurements."""
        self._stall_seconds = stall_seconds
        self._seconds_per_token: float | None = None  # a running mean
        self.longest = max(stall_seconds, _FIRST_SECONDS)

    def observe(self, num_tokens: int, seconds: float) -> None:
        """Add a measurement: a batch of ``num_tokens`` took ``seconds``."""
        measured = seconds / num_tokens
        mean = measured if self._seconds_per_token is None else self._seconds_per_token
        self._seconds_per_token = mean + _SMOOTHING * (measured - mean)

    def reset(self) -> None:
        """Forget the measurements: the workers may be others now."""
        self._seconds_per_token = None

    def seconds(self, num_tokens: int) -> float:
        """Timeout of a batch of ``num_tokens``."""
        if self._seconds_per_token is None:
            return self.longest
        expected = num_tokens * self._seconds_per_token
        return min(max(self._stall_seconds, _TOLERANCE * expected), self.longest)
