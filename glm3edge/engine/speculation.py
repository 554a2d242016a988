"""Speculator: how many guesses go into a batch.

The batch that computes a reply's next token computes guesses at those after it too. Each is
compared with the token that is sampled in its place; the first wrong one and all after it are
thrown away. What is said does not depend on the guesses: every token comes from the sampler, with
the logits it would have had.
"""

from collections.abc import Sequence

from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.prompt_lookup import Acceptance
from glm3edge.engine.scheduler import Work

MAX_DRAFTS = 16
"""Guesses in a row: more are seldom all right."""

_WORTH = 1.05
"""How many times faster a batch with guesses must be expected to be."""


class Speculator:
    """Puts guesses into a batch, where the measured times of batches say that they pay.

    They pay if more tokens a second come out. One more token in a batch costs little on a GPU and
    much on a processor that has other replies in the batch already, so it is measured:
    ``BatchTiming`` knows how long batches take, and each sequence how often its guesses were right.
    """

    def __init__(self, batch_timing: BatchTiming) -> None:
        self._batch_timing = batch_timing

    def draft(self, batch: Sequence[Work], *, room: int) -> None:
        """Set ``draft_ids`` of the sequences in ``batch``: ``room`` tokens at the most."""
        for work in batch:
            work.sequence.draft_ids = []
        if any(work.num_tokens > 1 for work in batch):
            return  # a prompt is being computed beside: the processor is busy enough
        num_tokens, expected = len(batch), float(len(batch))
        for work in batch:
            sequence = work.sequence
            limit = min(MAX_DRAFTS, room, sequence.num_wanted - 1)
            count = self._best_count(sequence.acceptance, limit, num_tokens, expected)
            if not count:
                sequence.acceptance.recover()
                continue
            sequence.draft_ids = guess = sequence.draft(count)
            num_tokens += len(guess)
            expected += sequence.acceptance.expected(len(guess))
            room -= len(guess)

    def _best_count(
        self, acceptance: Acceptance, limit: int, num_tokens: int, expected: float
    ) -> int:
        """How many guesses, up to ``limit``, to add to a batch that gives ``expected`` tokens."""
        seconds = self._batch_timing.seconds
        best, best_speed = 0, _WORTH * expected / max(seconds(num_tokens), 1e-9)
        likely, hoped = 1.0, expected + acceptance.most
        for count in range(1, limit + 1):
            time = max(seconds(num_tokens + count), 1e-9)
            if hoped / time <= best_speed:
                break  # more guesses take longer, and more than that cannot come of them
            likely *= acceptance.rate
            expected += likely
            if expected / time > best_speed:
                best, best_speed = count, expected / time
        return best
