"""Scheduler: which sequences run, and which of their tokens are in the next batch. Pure policy."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.sequence import EngineSequence

_TURN_SECONDS = 0.04
"""Time slice of an adapter while sequences of another one wait. llama.cpp builds its graphs again
after a change: 3 ms for 28 layers."""


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens of one sequence in the next batch, ``draft_ids`` not counted."""

    sequence: EngineSequence
    num_tokens: int

    @property
    def completes(self) -> bool:
        """Whether the sequence has no more pending tokens after these."""
        return self.num_tokens == self.sequence.num_pending


class Scheduler:
    """Priority queue: interactive before background, and first come, first served within each.

    Sequences that need hidden states have batches of their own, because llama.cpp keeps them for
    a whole batch or not at all; such batches alternate with the others.

    A batch is computed with one adapter, so adapters take turns (round robin). Those with an
    interactive sequence go before the others.

    Attributes:
        waiting: sequences in the queue, in order.
        running: sequences that have a slot.
        num_sequences: of both; unlike their lengths it is right at any moment, for any thread.
    """

    def __init__(self, *, max_running: int, batch_size: int, batch_timing: BatchTiming) -> None:
        self._max_running = max_running
        self._batch_size = batch_size
        self._batch_timing = batch_timing
        self._num_added = 0
        self._embeddings_next = True
        self.waiting: list[EngineSequence] = []
        self.running: list[EngineSequence] = []
        self.num_sequences = 0
        self._num_running_with: Counter[int] = Counter()  # sequences, by adapter
        self._adapter = 0  # that has its turn
        self._turn_seconds = 0.0  # how long the turn has lasted
        self._last_turns: dict[int, int] = {}  # number of each adapter's last turn
        self._num_turns = 0

    @property
    def is_full(self) -> bool:
        """Whether ``max_running`` sequences run."""
        return len(self.running) >= self._max_running

    def add(self, sequence: EngineSequence) -> None:
        """Queue a sequence."""
        self._num_added += 1
        self.num_sequences += 1
        sequence.arrival = self._num_added
        self._enqueue(sequence)

    def run(self, sequence: EngineSequence) -> None:
        """Move a waiting sequence to the running ones."""
        self.waiting.remove(sequence)
        self.running.append(sequence)
        self._num_running_with[sequence.adapter] += 1

    def preempt(self, sequence: EngineSequence) -> None:
        """Move a running sequence back to its place in the queue."""
        self._remove_running(sequence)
        self._enqueue(sequence)

    def remove(self, sequence: EngineSequence) -> None:
        """Remove a running or waiting sequence."""
        if sequence in self.running:
            self._remove_running(sequence)
        else:
            self.waiting.remove(sequence)
        self.num_sequences -= 1

    def victim(self, *, below: EngineSequence | None = None) -> EngineSequence | None:
        """The running sequence to preempt first: the last in rank.

        With ``below`` only if its priority is lower than that of ``below``.
        """
        last = max(self.running, key=_rank, default=None)
        if last is None or (below is not None and last.priority <= below.priority):
            return None
        return last

    def plan(self, num_cells: int) -> list[Work]:
        """The next batch, of ``num_cells`` tokens at most; empty if a sequence must be preempted.

        Decoding sequences come first, a token each; prompts get the prefill budget.
        """
        if len(self._num_running_with) <= 1:
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

        ``num_delayed`` decoding sequences of other adapters wait for it: the prefill budget is that
        beside so many in one batch.
        """
        embeddings = [s for s in running if s.needs_hidden_states]
        generations = [s for s in running if not s.needs_hidden_states]
        decoding = [s for s in generations if s.num_pending == 1]
        budget = min(self._batch_size, num_cells)
        if len(decoding) > budget:
            return []
        if len(decoding) == len(running):
            return [Work(sequence, 1) for sequence in decoding]
        prefill_budget = self._batch_size
        if num_decoding := len(decoding) or num_delayed:
            prefill_budget = self._batch_timing.prefill_budget(num_decoding, prefill_budget)
        if embeddings and (self._embeddings_next or not generations):
            self._embeddings_next = False
            return _prefill(embeddings, min(prefill_budget, budget))
        self._embeddings_next = True
        batch = [Work(sequence, 1) for sequence in decoding]
        prompts = [s for s in generations if s.num_pending > 1]
        return batch + _prefill(prompts, min(prefill_budget, budget - len(batch)))

    def _begin_turn(self, adapters: set[int]) -> None:
        """Continue the turn, or begin that of the adapter whose last turn is longest ago."""
        if self._adapter in adapters and self._turn_seconds < _TURN_SECONDS:
            return
        self._num_turns += 1
        self._last_turns[self._adapter] = self._num_turns
        self._adapter = min(adapters, key=lambda a: (self._last_turns.get(a, 0), a))
        self._turn_seconds = 0.0

    def _remove_running(self, sequence: EngineSequence) -> None:
        self.running.remove(sequence)
        self._num_running_with[sequence.adapter] -= 1
        if not self._num_running_with[sequence.adapter]:
            del self._num_running_with[sequence.adapter]

    def _enqueue(self, sequence: EngineSequence) -> None:
        self.waiting.append(sequence)
        self.waiting.sort(key=_rank)


def _rank(sequence: EngineSequence) -> tuple[int, int]:
    return sequence.priority, sequence.arrival


def _prefill(sequences: Iterable[EngineSequence], budget: int) -> list[Work]:
    """Share ``budget`` tokens among prompts in their order."""
    batch = []
    for sequence in sorted(sequences, key=_rank):
        num_tokens = min(sequence.num_pending, budget)
        if num_tokens > 0:
            batch.append(Work(sequence, num_tokens))
            budget -= num_tokens
    return batch
