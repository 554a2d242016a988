"""Interface of inference engines: what services and the server need of whatever generates."""

from collections.abc import Callable, Mapping
from typing import Protocol

from glm3edge.core import ModelState
from glm3edge.engine.outbox import Post
from glm3edge.engine.request import GenerationRequest, Sink
from glm3edge.engine.stats import Stats

Cancel = Callable[[], object]
"""Asks for an early ending of a generation. Idempotent, and without effect after its ending."""


class InferenceEngine(Protocol):
    """Generates replies. ``engine.engine`` has the engine of this machine, ``remote.engine`` one
    that others compute for."""

    @property
    def context_size(self) -> int:
        """Tokens that prompt and reply may have together."""

    @property
    def max_running(self) -> int:
        """Generations that are computed together."""

    @property
    def capacity(self) -> int:
        """Generations that may run and wait together."""

    @property
    def is_running(self) -> bool:
        """Whether requests are being served."""

    @property
    def is_healthy(self) -> bool:
        """Whether requests are being served, and there is no ``problem``."""

    @property
    def problem(self) -> str | None:
        """Reason why requests fail although the engine runs; None if they do not."""

    @property
    def model_state(self) -> ModelState | None:
        """Whether the model is loaded; None if it is never unloaded, or not here."""

    @property
    def num_running(self) -> int:
        """Generations that are being computed."""

    @property
    def num_waiting(self) -> int:
        """Generations that wait."""

    @property
    def stats(self) -> Stats:
        """Counters."""

    @property
    def replicas(self) -> Mapping[str, "InferenceEngine"]:
        """Engines that share the requests, by their addresses; empty if there is but this one."""

    @property
    def continues_grammars(self) -> bool:
        """Whether requests may have ``begun_ids`` under a grammar."""

    def start(self, post: Post) -> None:
        """Start; events are delivered through ``post``, on the running event loop."""

    def check_capacity(self, num_sequences: int = 1) -> None:
        """Raise what ``generate()`` would raise now for that many requests."""

    def generate(self, request: GenerationRequest, sink: Sink) -> Cancel:
        """Generate a reply, and give its events to ``sink``: exactly one ending, as the last.

        Raises:
            EngineClosedError: the engine is closed or closing.
            EngineLostError: what computes is lost and not yet back.
            QueueFullError: as many requests wait as may.
            GrammarError: the request's grammar cannot be followed.
            ValueError: the reply may become longer than the context.
        """

    def request_close(self) -> None:
        """Take no more requests and end the others with EngineClosedError; does not wait."""

    def close(self) -> None:
        """``request_close()``, then wait for the end. Idempotent."""
