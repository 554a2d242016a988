"""Speculative decoding: how many draft tokens go into a batch.

The batch that computes a reply's next token also computes drafts of the tokens after it. Each is
compared with the token that is sampled in its place; the first that differs and all after it are
rejected. The reply does not depend on the drafts: every token comes from the sampler, with the
logits it would have had.
"""

from collections.abc import Sequence

from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.prompt_lookup import Acceptance
from glm3edge.engine.scheduler import Work

MAX_DRAFTS = 16
"""Drafts in a row: more are seldom all accepted."""

_MIN_SPEEDUP = 1.05
"""Expected speedup for which drafts are added to a batch."""


class Speculator:
    """Adds drafts to a batch where more tokens a second are expected with them.

    One more token in a batch costs little on a GPU and much on a processor that has other replies
    in the batch already, so it is measured: ``BatchTiming`` has the durations of batches, and each
    sequence its acceptance rate.
    """

    def __init__(self, batch_timing: BatchTiming) -> None:
        self._batch_timing = batch_timing

    def draft(self, batch: Sequence[Work], *, budget: int) -> None:
        """Set ``draft_ids`` of the sequences in ``batch``: ``budget`` tokens at most."""
        for work in batch:
            work.sequence.draft_ids = []
        if any(work.num_tokens > 1 for work in batch):
            return  # a prefill beside them keeps the processor busy enough
        num_tokens, expected = len(batch), float(len(batch))
        for work in batch:
            sequence = work.sequence
            limit = min(MAX_DRAFTS, budget, sequence.num_remaining - 1)
            count = self._best_count(sequence.acceptance, limit, num_tokens, expected)
            if not count:
                sequence.acceptance.decay()
                continue
            sequence.draft_ids = drafts = sequence.draft(count)
            num_tokens += len(drafts)
            expected += sequence.acceptance.expected(len(drafts))
            budget -= len(drafts)

    def _best_count(
        self, acceptance: Acceptance, limit: int, num_tokens: int, expected: float
    ) -> int:
        """Number of drafts, up to ``limit``, to add to a batch that gives ``expected`` tokens."""
        seconds = self._batch_timing.seconds
        best, best_speed = 0, _MIN_SPEEDUP * expected / max(seconds(num_tokens), 1e-9)
        likely, upper_bound = 1.0, expected + acceptance.max_expected
        for count in range(1, limit + 1):
            time = max(seconds(num_tokens + count), 1e-9)
            if upper_bound / time <= best_speed:
                break  # more drafts take longer, and give no more tokens than that
            likely *= acceptance.rate
            expected += likely
            if expected / time > best_speed:
                best, best_speed = count, expected / time
        return best
