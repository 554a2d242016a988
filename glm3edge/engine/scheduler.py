"""Scheduler: pure policy. Which sequences run, and which of their tokens go into the next batch."""

from collections import deque
from dataclasses import dataclass

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
    """First come, first served, over ``max_running`` slots.

    Sequences that need hidden states run alone: llama.cpp keeps them for a whole batch or not at
    all.
    """

    def __init__(self, *, max_running: int, batch_size: int) -> None:
        self._batch_size = batch_size
        self._free_slots = list(reversed(range(max_running)))
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence."""
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Drop a sequence, wherever it is; its slot is free again."""
        if sequence in self.running:
            self.running.remove(sequence)
            if sequence.slot is not None:
                self._free_slots.append(sequence.slot)
        else:
            self.waiting.remove(sequence)

    def admit(self) -> list[tuple[Sequence, int]]:
        """Move waiting sequences into free slots; returns each with its slot."""
        admitted = []
        while self.waiting and self._free_slots and self._may_join(self.waiting[0]):
            sequence = self.waiting.popleft()
            self.running.append(sequence)
            admitted.append((sequence, self._free_slots.pop()))
        return admitted

    def plan(self) -> list[Work]:
        """The next batch: replies under way first, a token each, then prompts in what is left."""
        budget = self._batch_size
        batch = []
        for sequence in sorted(self.running, key=lambda sequence: sequence.num_pending > 1):
            num_tokens = min(sequence.num_pending, budget)
            if num_tokens:
                batch.append(Work(sequence, num_tokens))
                budget -= num_tokens
        return batch

    def _may_join(self, sequence: Sequence) -> bool:
        if not self.running:
            return True
        return not (sequence.needs_hidden_states or self.running[0].needs_hidden_states)
