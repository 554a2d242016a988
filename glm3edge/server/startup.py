"""Progress of a start, which the server shows until it has a model."""

import time
from collections.abc import Callable

from glm3edge.schema.errors import StartProgress
from glm3edge_convert.progress import Step

_PHASES = {"pull": "pulling", "load": "loading"}
_MARK_SECONDS = 15.0
"""The rate is that of the last 15 to 30 seconds: a connection changes its mind."""

_POLL_SECONDS = 2
_MAX_RETRY_SECONDS = 60  # OpenAI's clients wait no longer


class Startup:
    """What the server does before it serves; written by one thread, and read by another.

    Attributes:
        progress: as of now.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.progress = StartProgress(phase="loading")
        self._marks = [(0.0, 0)] * 2  # time and bytes, an older one and a newer one

    @property
    def retry_after(self) -> int:
        """Seconds after which a client may ask again."""
        return min(max(self.progress.seconds_left or _POLL_SECONDS, 1), _MAX_RETRY_SECONDS)

    def begin(self, label: str, num_bytes: int | None = None) -> None:
        """Note what is announced; a conversion counts from its first bytes on."""
        if label in _PHASES:
            self.progress = StartProgress(phase=_PHASES[label], bytes_total=num_bytes)

    def update(self, step: Step) -> None:
        """Note a step of a download or a conversion."""
        now, num_bytes = self._clock(), step.num_bytes_done
        before = self.progress
        if (before.phase, before.bytes_total) != (step.phase, step.num_bytes):
            self._marks = [(now, num_bytes)] * 2
        elif now - self._marks[1][0] > _MARK_SECONDS:
            self._marks = [self._marks[1], (now, num_bytes)]
        since, num_bytes_then = self._marks[0]
        rate = (num_bytes - num_bytes_then) / max(now - since, 1e-3)
        self.progress = StartProgress(
            phase=step.phase,
            bytes_done=num_bytes,
            bytes_total=step.num_bytes,
            seconds_left=round((step.num_bytes - num_bytes) / rate) if rate > 0 else None,
        )
