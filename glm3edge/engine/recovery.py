"""Recovery: restarts a backend that has been lost, such as a process on a GPU or a worker, or that
was unloaded.

ready ──lose()──> lost ──restart──> ready ──unload()──> unloaded ──load()──> ready
                   │  <─┐   │                                       │
                   └────┴───┘   (the restart failed: lost,   <──────┘
                                 and retried after RETRY_SECONDS)
"""

import logging
import threading
import time
from collections.abc import Callable

from glm3edge.core import ModelState
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
        error: why the backend is lost; None while it is not.
        state: of the model, as far as the backend is not lost.
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
        self.state = ModelState.LOADED

    @property
    def max_idle_seconds(self) -> float | None:
        """How long an engine without work may sleep before it calls ``attend()``; None is for as
        long as there is none."""
        if self.state is ModelState.UNLOADED:
            return None
        return CHECK_SECONDS if self.error is None else RETRY_SECONDS

    def attend(self, idle_seconds: float) -> None:
        """Retry a restart that is due; check the backend after ``idle_seconds`` without a batch."""
        if self.error is not None:
            if time.monotonic() >= self._retry_at:
                self._restart()
        elif idle_seconds > TRUST_SECONDS and self.state is ModelState.LOADED:
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

    def unload(self) -> None:
        """Unload the model of a backend that computes nothing; its KV cache goes, too."""
        self._backend.unload()
        self._on_loss(EngineLostError("it is unloaded"))
        self.state = ModelState.UNLOADED
        logger.info("the model is unloaded")

    def load(self) -> None:
        """Load the model that was unloaded; if that fails, the backend is lost."""
        self.state = ModelState.LOADING
        failure = self._run_restart()
        self.state = ModelState.LOADED
        if failure is None:
            logger.info("the model is loaded again")
        else:
            self._fail(failure)

    def _restart(self) -> None:
        failure = self._run_restart()
        if failure is not None:
            self._fail(failure)
            return
        logger.warning("the engine is back")
        self._stats.num_restarts += 1
        self.error = None

    def _fail(self, failure: Exception) -> None:
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
