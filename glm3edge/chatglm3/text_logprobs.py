"""Log probabilities of the tokens of a text completion."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

from glm3edge.chatglm3.vocabulary import Vocabulary
from glm3edge.core import TokenEvent, TokenLogprobs
from glm3edge.schema.completions import CompletionLogprobs


@dataclass(frozen=True, slots=True)
class _Token:
    """A token, and its offset in the text, in characters."""

    token_id: int
    logprobs: TokenLogprobs
    offset: int


class TextLogprobs:
    """Collector of a text's tokens, as OpenAI's older API reports them.

    Text may be held back, and of a stop string nothing comes at all: feed it each event, then take
    the tokens that begin in what has come out.
    """

    def __init__(self, vocabulary: Vocabulary, *, as_ids: bool = False) -> None:
        """``as_ids`` reports tokens by their ids instead of their texts."""
        self._vocabulary = vocabulary
        self._as_ids = as_ids
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._num_chars = 0
        self._pending: list[_Token] = []

    def feed(self, event: TokenEvent) -> None:
        """Add the token of ``event``."""
        if event.logprobs is None:
            return
        self._pending.append(_Token(event.token_id, event.logprobs, self._num_chars))
        piece = self._vocabulary.piece(event.token_id)
        # No character reaches across a control token, whose piece is empty.
        self._num_chars += len(self._decoder.decode(piece, final=not piece))

    def take(self, num_chars: float) -> CompletionLogprobs | None:
        """New tokens that begin in the first ``num_chars`` characters; None if there are none."""
        taken = [token for token in self._pending if token.offset < num_chars]
        del self._pending[: len(taken)]
        return self._reported(taken) if taken else None

    def _reported(self, tokens: Sequence[_Token]) -> CompletionLogprobs:
        return CompletionLogprobs(
            tokens=[self._name(token.token_id) for token in tokens],
            token_logprobs=[token.logprobs.logprob for token in tokens],
            top_logprobs=[self._top(token) for token in tokens],
            text_offset=[token.offset for token in tokens],
        )

    def _top(self, token: _Token) -> dict[str, float]:
        """The most probable tokens and the sampled one; of those that read the same, the best."""
        top: dict[str, float] = {}
        chosen = (token.token_id, token.logprobs.logprob)
        for token_id, logprob in (*token.logprobs.top, chosen):
            top.setdefault(self._name(token_id), logprob)
        return top

    def _name(self, token_id: int) -> str:
        if self._as_ids:
            return f"token_id:{token_id}"
        name = self._vocabulary.token_name(token_id)
        try:
            return name.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in name)


def joined(parts: Sequence[CompletionLogprobs]) -> CompletionLogprobs:
    """``parts`` as one."""
    return CompletionLogprobs(
        tokens=[token for part in parts for token in part.tokens],
        token_logprobs=[logprob for part in parts for logprob in part.token_logprobs],
        top_logprobs=[top for part in parts for top in part.top_logprobs],
        text_offset=[offset for part in parts for offset in part.text_offset],
    )
