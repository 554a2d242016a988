"""Recovery: restarts a backend that has been lost, such as a process on a GPU or a worker.

ready ──lose()──> lost ──restart──> ready
                   │  <─┐   │
                   └────┴───┘   (the restart failed: retried after RETRY_SECONDS)
"""

import logging
import threading
import time
from collections.abc import Callable

from glm3edge.engine.backend import Restartable
from glm3edge.engine.stats import Stats
from glm3edge.errors import EngineLostError

logger = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
"""How often an idle engine checks that its backend is still there."""

TRUST_SECONDS = 1.0
"""How long an engine may have been idle and start a batch without a check."""

RETRY_SECONDS = 1.0
"""Pause after a restart that failed."""

_POLL_SECONDS = 0.1
"""How often the engine serves cancellations and other tasks while a restart runs."""


class Recovery:
    """Notices that a backend is lost, and restarts it until it is back.

    Attributes:
        error: why the backend is lost; None while it is ready.
    """

    def __init__(
        self,
        backend: Restartable,
        stats: Stats,
        *,
        on_loss: Callable[[EngineLostError], None],
        on_failure: Callable[[EngineLostError], None],
        meanwhile: Callable[[], None],
    ) -> None:
        """Start in the ready state.

        Args:
            backend: checks and restarts itself.
            stats: counts the restarts.
            on_loss: called when the backend is lost, before the first restart.
            on_failure: called after each restart that failed.
            meanwhile: called every 0.1 s while a restart runs, which may take minutes.
        """
        self._backend = backend
        self._stats = stats
        self._on_loss = on_loss
        self._on_failure = on_failure
        self._meanwhile = meanwhile
        self._retry_at = 0.0  # in seconds of monotonic()
        self.error: EngineLostError | None = None

    @property
    def max_idle_seconds(self) -> float:
        """How long an engine without work may sleep before it calls ``attend()``."""
        return CHECK_SECONDS if self.error is None else RETRY_SECONDS

    def attend(self, idle_seconds: float) -> None:
        """Retry a restart that is due; check the backend after ``idle_seconds`` without a batch."""
        if self.error is not None:
            if time.monotonic() >= self._retry_at:
                self._restart()
        elif idle_seconds > TRUST_SECONDS:
            try:
                self._backend.check()
            except EngineLostError as exc:
                self.lose(exc)

    def lose(self, error: EngineLostError) -> None:
        """Take the backend for lost, and try to restart it."""
        logger.error("the engine is lost: %s", error.reason)
        self.error = error
        self._on_loss(error)
        self._restart()

    def _restart(self) -> None:
        failure = self._run_restart()
        if failure is None:
            logger.warning("the engine is back")
            self._stats.num_restarts += 1
            self.error = None
            return
        reason = getattr(failure, "reason", str(failure))
        logger.debug("not back yet: %s", reason)
        self.error = EngineLostError(reason)
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self._on_failure(self.error)

    def _run_restart(self) -> Exception | None:
        """Restart on a thread of its own, and return the error if that fails."""
        failures: list[Exception] = []

        def restart() -> None:
            try:
                self._backend.restart()
            except Exception as exc:
                failures.append(exc)

        thread = threading.Thread(target=restart, name="glm3edge-restart", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            self._meanwhile()
        return failures[0] if failures else None
