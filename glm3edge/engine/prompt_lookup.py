"""Prompt lookup: what followed the last tokens the last time they stood in the text.

What a reply copies (code to be mended, names, quotes, arguments of calls) stands in its prompt, so
what comes next can be guessed from the text itself (Saxena, "Prompt Lookup Decoding", 2023).
"""

from collections.abc import Sequence

_NGRAMS = (4, 2)  # lengths of what is looked up; the first that is found counts
_FIRST_RATE = 0.6
_SMOOTHING = 0.15
_RECOVERY = 0.02


class PromptLookup:
    """Finds where a text has been before. Feed it one growing list of tokens."""

    def __init__(self) -> None:
        self._next: dict[tuple[int, ...], int] = {}  # n-gram -> where what follows it starts
        self._num_indexed = 0

    def draft(self, token_ids: Sequence[int], limit: int) -> list[int]:
        """Up to ``limit`` tokens that followed the end of ``token_ids`` the last time it stood.

        If that was so short ago that the text ends first, it is taken to repeat itself.
        """
        self._index(token_ids)
        for size in _NGRAMS:
            start = self._next.get(tuple(token_ids[-size:]))
            if start is not None:
                followed = token_ids[start : start + limit]
                return [followed[index % len(followed)] for index in range(limit)]
        return []

    def _index(self, token_ids: Sequence[int]) -> None:
        """Take in all n-grams but those at the very end, which nothing follows yet."""
        for end in range(self._num_indexed + 1, len(token_ids)):
            for size in _NGRAMS:
                if end >= size:
                    self._next[tuple(token_ids[end - size : end])] = end
        self._num_indexed = max(len(token_ids) - 1, 0)


class Acceptance:
    """How likely a guess is right, given that those before it were: a running estimate."""

    def __init__(self) -> None:
        self.rate = _FIRST_RATE

    def observe(self, *, num_accepted: int, num_drafts: int) -> None:
        """The first ``num_accepted`` of ``num_drafts`` guesses were right."""
        for index in range(min(num_accepted + 1, num_drafts)):
            self.rate += _SMOOTHING * ((index < num_accepted) - self.rate)

    def recover(self) -> None:
        """No guess was made: what was true of the text before may have changed."""
        self.rate += _RECOVERY * (_FIRST_RATE - self.rate)

    @property
    def most(self) -> float:
        """Guesses that will be right, however many are made."""
        return self.rate / max(1 - self.rate, 1e-9)

    def expected(self, num_drafts: int) -> float:
        """Guesses of ``num_drafts`` that will be right."""
        return sum(self.rate**count for count in range(1, num_drafts + 1))
