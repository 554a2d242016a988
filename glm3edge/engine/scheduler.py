"""Scheduler: pure policy. Who runs, who waits, and whose tokens go into the next batch."""

from collections.abc import Iterable
from dataclasses import dataclass

from glm3edge.engine.pace import Pace
from glm3edge.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens of one sequence for the next batch."""

    sequence: Sequence
    num_tokens: int

    @property
    def completes(self) -> bool:
        """Whether the sequence has nothing pending after these."""
        return self.num_tokens == self.sequence.num_pending


class Scheduler:
    """Interactive before background, and within each first come, first served.

    Sequences that need hidden states have batches of their own, because llama.cpp keeps them for
    a whole batch or not at all; such batches take turns with the others.
    """

    def __init__(self, *, max_running: int, batch_size: int, pace: Pace) -> None:
        self._max_running = max_running
        self._batch_size = batch_size
        self._pace = pace
        self._num_added = 0
        self._vectors_next = True
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []

    @property
    def is_full(self) -> bool:
        """Whether as many sequences run as may."""
        return len(self.running) >= self._max_running

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence."""
        self._num_added += 1
        sequence.number = self._num_added
        self._enqueue(sequence)

    def run(self, sequence: Sequence) -> None:
        """Move a waiting sequence to the running ones."""
        self.waiting.remove(sequence)
        self.running.append(sequence)

    def suspend(self, sequence: Sequence) -> None:
        """Move a running sequence back to where it waited."""
        self.running.remove(sequence)
        self._enqueue(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Drop a sequence, wherever it is."""
        (self.running if sequence in self.running else self.waiting).remove(sequence)

    def youngest(self, *, below: Sequence | None = None) -> Sequence | None:
        """The running sequence that yields first: the last in rank.

        With ``below`` only if that one's priority is lower.
        """
        last = max(self.running, key=_rank, default=None)
        if last is None or (below is not None and last.priority <= below.priority):
            return None
        return last

    def plan(self, num_cells: int) -> list[Work]:
        """The next batch, of at most ``num_cells`` tokens; empty if somebody has to yield first.

        Replies under way come first, a token each; prompts get what room the pace leaves.
        """
        vectors = [s for s in self.running if s.needs_hidden_states]
        others = [s for s in self.running if not s.needs_hidden_states]
        replies = [s for s in others if s.num_pending == 1]
        budget = min(self._batch_size, num_cells)
        if len(replies) > budget:
            return []
        if len(replies) == len(self.running):
            return [Work(sequence, 1) for sequence in replies]
        room = self._pace.room(len(replies), self._batch_size) if replies else self._batch_size
        if vectors and (self._vectors_next or not others):
            self._vectors_next = False
            return _fill(vectors, min(room, budget))
        self._vectors_next = True
        batch = [Work(sequence, 1) for sequence in replies]
        prompts = [s for s in others if s.num_pending > 1]
        return batch + _fill(prompts, min(room, budget - len(batch)))

    def _enqueue(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)
        self.waiting.sort(key=_rank)


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.priority, sequence.number


def _fill(sequences: Iterable[Sequence], room: int) -> list[Work]:
    batch = []
    for sequence in sorted(sequences, key=_rank):
        num_tokens = min(sequence.num_pending, room)
        if num_tokens > 0:
            batch.append(Work(sequence, num_tokens))
            room -= num_tokens
    return batch
