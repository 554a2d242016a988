"""Client of an engine in tests: submits sequences and reads their events."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from glm3edge.core import FinishedEvent, GenerationFinished, Span, TokenEvent
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.embedding import Embedding
from glm3edge.engine.engine import Engine
from glm3edge.engine.request import GenerationRequest
from glm3edge.engine.sequence import Generation
from tests.support.fakes import EOS, spell

WAIT_SECONDS = 60
"""Guards against a hang; nothing that passes takes so long, however busy the machine is."""


class Client:
    """Submits sequences to an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def generate(self, prompt: str = "hi", **options: Any) -> "Listener":
        defaults: dict[str, Any] = {"max_new_tokens": 100, "stop_token_ids": frozenset({EOS})}
        request = GenerationRequest(prompt_ids=spell(prompt), **(defaults | options))
        return self._submit(lambda sink: Generation(request, sink))

    def embed(self, text: str, num_skipped: int = 0) -> "Listener":
        return self._submit(lambda sink: Embedding(spell(text), sink, num_skipped=num_skipped))

    def _submit(self, make: Callable[[Callable[[Any], None]], Any]) -> "Listener":
        events: queue.Queue[Any] = queue.Queue()
        sequence = make(events.put)
        self._engine.submit(sequence)
        return Listener(events, lambda: self._engine.cancel(sequence))


class Listener:
    """Reads the events of one sequence."""

    def __init__(self, events: "queue.Queue[Any]", cancel: Callable[[], None]) -> None:
        self._events = events
        self.cancel = cancel

    def next(self) -> Any:
        return self._events.get(timeout=WAIT_SECONDS)

    def all(self) -> list[Any]:
        events = [self.next()]
        while not isinstance(events[-1], FinishedEvent):
            events.append(self.next())
        return events

    def text(self) -> str:
        return "".join(e.text for e in self.all() if isinstance(e, TokenEvent | GenerationFinished))

    def end(self) -> Any:
        return self.all()[-1]

    def assert_no_more(self) -> None:
        with pytest.raises(queue.Empty):
            self._events.get(timeout=0.05)


class FlatTiming(BatchTiming):
    """Every batch takes as long as any other: drafts cost nothing."""

    def seconds(self, num_tokens: int) -> float:
        return 1.0


def num_tokens_of(batch: Sequence[Span]) -> int:
    """Number of tokens in a batch."""
    return sum(len(span.token_ids) for span in batch)


def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` is true."""
    waiting = threading.Event()
    for _ in range(int(WAIT_SECONDS / 0.01)):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("the condition does not become true")
