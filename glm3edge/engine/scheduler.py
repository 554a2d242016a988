"""Scheduler: pure policy. Who runs, who waits, and whose tokens go into the next batch."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.sequence import EngineSequence

_TURN_SECONDS = 0.04
"""How long batches of one adapter follow each other while another's sequences wait. llama.cpp
builds its graphs again after a change: 3 ms for 28 layers."""


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens of one sequence for the next batch."""

    sequence: EngineSequence
    num_tokens: int

    @property
    def completes(self) -> bool:
        """Whether the sequence has nothing pending after these."""
        return self.num_tokens == self.sequence.num_pending


class Scheduler:
    """Interactive before background, and within each first come, first served.

    Sequences that need hidden states have batches of their own, because llama.cpp keeps them for
    a whole batch or not at all; such batches take turns with the others.

    A batch is computed with one adapter, so the sequences of each adapter are a group. Groups with
    an interactive sequence take turns, and others wait for them.
    """

    def __init__(self, *, max_running: int, batch_size: int, batch_timing: BatchTiming) -> None:
        self._max_running = max_running
        self._batch_size = batch_size
        self._batch_timing = batch_timing
        self._num_added = 0
        self._vectors_next = True
        self.waiting: list[EngineSequence] = []
        self.running: list[EngineSequence] = []
        self._num_of_adapter: Counter[int] = Counter()  # running sequences
        self._adapter = 0  # whose turn it is
        self._turn_seconds = 0.0  # that it has had
        self._turns_ended: dict[int, int] = {}  # of each adapter, which turn was its last
        self._num_turns = 0

    @property
    def is_full(self) -> bool:
        """Whether as many sequences run as may."""
        return len(self.running) >= self._max_running

    def add(self, sequence: EngineSequence) -> None:
        """Queue a sequence."""
        self._num_added += 1
        sequence.number = self._num_added
        self._enqueue(sequence)

    def run(self, sequence: EngineSequence) -> None:
        """Move a waiting sequence to the running ones."""
        self.waiting.remove(sequence)
        self.running.append(sequence)
        self._num_of_adapter[sequence.adapter] += 1

    def preempt(self, sequence: EngineSequence) -> None:
        """Move a running sequence back to where it waited."""
        self._leave(sequence)
        self._enqueue(sequence)

    def remove(self, sequence: EngineSequence) -> None:
        """Drop a sequence, wherever it is."""
        if sequence in self.running:
            self._leave(sequence)
        else:
            self.waiting.remove(sequence)

    def victim(self, *, below: EngineSequence | None = None) -> EngineSequence | None:
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
        if len(self._num_of_adapter) <= 1:
            return self._plan(self.running, num_cells)
        best = min(sequence.priority for sequence in self.running)
        self._begin_turn({s.adapter for s in self.running if s.priority == best})
        group = [s for s in self.running if s.adapter == self._adapter]
        num_delayed = sum(
            s.num_pending == 1 and s.priority == best and s.adapter != self._adapter
            for s in self.running
        )
        batch = self._plan(group, num_cells, num_delayed)
        self._turn_seconds += self._batch_timing.seconds(sum(work.num_tokens for work in batch))
        return batch

    def _plan(
        self, running: list[EngineSequence], num_cells: int, num_delayed: int = 0
    ) -> list[Work]:
        """The next batch of ``running``, which are of one adapter.

        ``num_delayed`` replies of others wait for it: prompts may take no more time than beside so
        many in one batch.
        """
        vectors = [s for s in running if s.needs_hidden_states]
        others = [s for s in running if not s.needs_hidden_states]
        replies = [s for s in others if s.num_pending == 1]
        budget = min(self._batch_size, num_cells)
        if len(replies) > budget:
            return []
        if len(replies) == len(running):
            return [Work(sequence, 1) for sequence in replies]
        room = self._batch_size
        if num_replies := len(replies) or num_delayed:
            room = self._batch_timing.prefill_budget(num_replies, room)
        if vectors and (self._vectors_next or not others):
            self._vectors_next = False
            return _fill(vectors, min(room, budget))
        self._vectors_next = True
        batch = [Work(sequence, 1) for sequence in replies]
        prompts = [s for s in others if s.num_pending > 1]
        return batch + _fill(prompts, min(room, budget - len(batch)))

    def _begin_turn(self, adapters: set[int]) -> None:
        """Let the turn go on, or begin that of the adapter whose last turn ended first."""
        if self._adapter in adapters and self._turn_seconds < _TURN_SECONDS:
            return
        self._num_turns += 1
        self._turns_ended[self._adapter] = self._num_turns
        self._adapter = min(adapters, key=lambda a: (self._turns_ended.get(a, 0), a))
        self._turn_seconds = 0.0

    def _leave(self, sequence: EngineSequence) -> None:
        """Take a sequence from the running ones."""
        self.running.remove(sequence)
        self._num_of_adapter[sequence.adapter] -= 1
        if not self._num_of_adapter[sequence.adapter]:
            del self._num_of_adapter[sequence.adapter]

    def _enqueue(self, sequence: EngineSequence) -> None:
        self.waiting.append(sequence)
        self.waiting.sort(key=_rank)


def _rank(sequence: EngineSequence) -> tuple[int, int]:
    return sequence.priority, sequence.number


def _fill(sequences: Iterable[EngineSequence], room: int) -> list[Work]:
    batch = []
    for sequence in sorted(sequences, key=_rank):
        num_tokens = min(sequence.num_pending, room)
        if num_tokens > 0:
            batch.append(Work(sequence, num_tokens))
            room -= num_tokens
    return batch
