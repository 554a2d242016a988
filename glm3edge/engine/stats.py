"""Counters of what an engine has done since it started."""

from collections import Counter
from dataclasses import dataclass, field

from glm3edge.core import FinishedEvent, FinishReason, GenerationFinished


@dataclass(slots=True)
class Stats:
    """Counters that only grow.

    Attributes:
        endings: finished sequences, by finish reason.
        num_prompt_tokens: tokens of their prompts.
        num_cached_tokens: prompt tokens served from the KV cache.
        num_completion_tokens: tokens sampled.
        num_accepted_drafts: sampled tokens that had been drafted.
        num_rejected_drafts: drafts that were rejected.
        num_restarts: restarts of a lost backend.
    """

    endings: Counter[FinishReason] = field(default_factory=Counter)
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    num_completion_tokens: int = 0
    num_accepted_drafts: int = 0
    num_rejected_drafts: int = 0
    num_restarts: int = 0

    def count(self, ending: FinishedEvent, *, num_prompt_tokens: int) -> None:
        """Count a finished sequence."""
        self.endings[ending.reason] += 1
        self.num_prompt_tokens += num_prompt_tokens
        if isinstance(ending, GenerationFinished):
            self.num_cached_tokens += ending.num_cached_tokens
            self.num_completion_tokens += ending.num_completion_tokens
            self.num_accepted_drafts += ending.num_accepted_drafts
            self.num_rejected_drafts += ending.num_rejected_drafts
