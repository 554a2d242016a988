"""Prompt lookup decoding: drafts from n-grams of the text itself, without a draft model.

What a reply copies (code to be corrected, names, quotes, arguments of calls) is in its prompt, so
the tokens after the last occurrence of its last n-gram are likely to follow (Saxena, "Prompt Lookup
Decoding", 2023).
"""

from collections.abc import Sequence

_NGRAM_SIZES = (4, 2)  # the first that is found counts
_FIRST_RATE = 0.6
_SMOOTHING = 0.15
_DECAY = 0.02


class PromptLookup:
    """Index of the n-grams of one growing list of tokens."""

    def __init__(self) -> None:
        self._next: dict[tuple[int, ...], int] = {}  # n-gram -> position of the token after it
        self._num_indexed = 0

    def draft(self, token_ids: Sequence[int], limit: int) -> list[int]:
        """Up to ``limit`` tokens that followed the last occurrence of the last n-gram.

        Where the text ends before that many, it is taken to repeat itself.
        """
        self._index(token_ids)
        for size in _NGRAM_SIZES:
            start = self._next.get(tuple(token_ids[-size:]))
            if start is not None:
                followed = token_ids[start : start + limit]
                return [followed[index % len(followed)] for index in range(limit)]
        return []

    def _index(self, token_ids: Sequence[int]) -> None:
        """Add all new n-grams but those at the very end, which no token follows yet."""
        for end in range(self._num_indexed + 1, len(token_ids)):
            for size in _NGRAM_SIZES:
                if end >= size:
                    self._next[tuple(token_ids[end - size : end])] = end
        self._num_indexed = max(len(token_ids) - 1, 0)


class Acceptance:
    """Running estimate of the probability that a draft is accepted, if those before it are."""

    def __init__(self) -> None:
        self.rate = _FIRST_RATE

    def observe(self, *, num_accepted: int, num_drafts: int) -> None:
        """Update the estimate: the first ``num_accepted`` of ``num_drafts`` were accepted."""
        for index in range(min(num_accepted + 1, num_drafts)):
            self.rate += _SMOOTHING * ((index < num_accepted) - self.rate)

    def decay(self) -> None:
        """Return toward the first estimate after a batch without drafts, as the text may differ."""
        self.rate += _DECAY * (_FIRST_RATE - self.rate)

    @property
    def max_expected(self) -> float:
        """Expected number of accepted drafts, however many are made."""
        return self.rate / max(1 - self.rate, 1e-9)

    def expected(self, num_drafts: int) -> float:
        """Expected number of accepted drafts of ``num_drafts``."""
        return sum(self.rate**count for count in range(1, num_drafts + 1))
