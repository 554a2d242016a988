"""Constrained decoding of a reply: its tools' grammars decide which tokens may come next.

    FREE ──a line that names a tool──> CALL ──the call is complete──> END
     ^                                                                 │
     └──────────────────────<|assistant|>──────────────────────────────┘

A reply that has to be a call, or JSON, starts in CALL.
"""

from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import Protocol

import numpy as np

from glm3edge.chatglm3.vocabulary import Vocabulary
from glm3edge.core import Mask


class Matcher(Protocol):
    """Position in a text of a grammar; ``glm3edge.llama.guidance.Matcher`` is one, see there."""

    @property
    def is_complete(self) -> bool: ...

    def copy(self) -> "Matcher": ...

    def allowed(self) -> Mask: ...

    def accept(self, token_id: int) -> None: ...


class _State(Enum):
    FREE = auto()
    CALL = auto()
    END = auto()


class ReplyConstraint:
    """Constraint of one reply: ``accept()`` its tokens, ``allowed()`` says which may come next."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        end_ids: Collection[int],
        assistant_id: int,
        calls: Mapping[str, Matcher],
        whole: Matcher | None = None,
        may_call_again: bool = True,
    ) -> None:
        """Start a reply.

        Args:
            vocabulary: of the tokens.
            end_ids: tokens that end a reply.
            assistant_id: the token between a reply's parts.
            calls: by a tool's name, the matcher of what follows the line that names it.
            whole: matcher of the whole reply; None if the reply may be prose.
            may_call_again: whether a reply may have more than one call.
        """
        self._vocabulary = vocabulary
        self._assistant_id = assistant_id
        self._calls = calls
        self._matcher = whole
        self._state = _State.FREE if whole is None else _State.CALL
        self._line = b""
        self._line_is_open = True
        goes_on = may_call_again and whole is None
        self._after_call = _mask({*end_ids, assistant_id} if goes_on else end_ids)

    def allowed(self) -> Mask | None:
        """Tokens that may come next, as bits; None if all may."""
        if self._state is _State.CALL and self._matcher is not None:
            return self._matcher.allowed()
        return self._after_call if self._state is _State.END else None

    def accept(self, token_id: int) -> None:
        """Add a token to the reply."""
        if self._state is _State.CALL and self._matcher is not None:
            self._matcher.accept(token_id)
            if self._matcher.is_complete:
                self._state = _State.END
        elif token_id == self._assistant_id:
            self._state, self._line, self._line_is_open = _State.FREE, b"", True
        elif self._line_is_open:
            self._read_line(token_id)

    def _read_line(self, token_id: int) -> None:
        self._line += self._vocabulary.piece(token_id)
        line, newline, rest = self._line.partition(b"\n")
        if not newline:
            return
        self._line_is_open = False
        matcher = self._calls.get(line.decode("utf-8", errors="replace").strip())
        if matcher is not None and not rest:
            self._state, self._matcher = _State.CALL, matcher.copy()


def _mask(token_ids: Collection[int]) -> Mask:
    """Mask with the bits of ``token_ids`` set; it may be shorter than the vocabulary."""
    mask = np.zeros((max(token_ids) + 8) // 8, np.uint8)
    for token_id in token_ids:
        mask[token_id // 8] |= 1 << token_id % 8
    return mask
