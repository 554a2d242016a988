"""Log probabilities of the tokens of a chat reply's content."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from glm3edge.chatglm3.parser import ReplyParser
from glm3edge.chatglm3.vocabulary import Vocabulary
from glm3edge.core import TokenEvent
from glm3edge.schema.chat import ChoiceLogprobs, TokenLogprob, TopLogprob


@dataclass(frozen=True, slots=True)
class _Token:
    """A token of prose, and its position in the content, in characters."""

    event: TokenEvent
    position: int


class ContentLogprobs:
    """Collector of the tokens of a reply's content, as OpenAI's API reports them.

    Feed it each event after the reply's parser has had it, then take the tokens that begin in what
    the client sees. Metadata lines, tool calls, separators and the white space that the parser
    strips in front are left out. While the parser cannot tell yet whether a line names a tool, its
    tokens wait.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, assistant_id: int, continues_prose: bool = False
    ) -> None:
        """Start a reply; ``continues_prose`` is as in ``ReplyParser``."""
        self._vocabulary = vocabulary
        self._assistant_id = assistant_id
        self._undecided: list[TokenEvent] = []
        self._pending: list[_Token] = []
        self._part_has_text = continues_prose

    def feed(self, event: TokenEvent, parser: ReplyParser, *, position: int) -> None:
        """Add ``event``, which ``parser`` has been fed.

        ``position`` is how many characters of content there were before; what was undecided then
        is not among them.
        """
        if event.token_id == self._assistant_id:
            self._part_has_text = False
            self._undecided.clear()
            return
        self._undecided.append(event)
        if parser.is_in_prose and event.text:
            self._decide(position)
        elif parser.is_in_call:
            self._undecided.clear()

    def limit(self, num_chars: int) -> None:
        """Set the length of the content so far, in characters.

        It is shorter than its tokens where the parser has filled in the year mark, which is longer
        than the year.
        """
        self._pending = [
            replace(token, position=min(token.position, num_chars - 1)) for token in self._pending
        ]

    def finish(self, parser: ReplyParser, *, position: int) -> None:
        """Decide on the last tokens; no more events come."""
        if parser.is_in_prose:
            self._decide(position)

    def take(self, num_chars: int) -> ChoiceLogprobs | None:
        """New tokens that begin in the first ``num_chars`` characters of content; None if there are
        none."""
        num_taken = 0
        for token in self._pending:
            if token.position >= num_chars:
                break
            num_taken += 1
        taken, self._pending = self._pending[:num_taken], self._pending[num_taken:]
        return (
            ChoiceLogprobs(content=[self._token(token.event) for token in taken]) if taken else None
        )

    def _decide(self, position: int) -> None:
        """Take the undecided tokens for prose that begins at ``position``."""
        character: list[TokenEvent] = []  # tokens of one, up to the one that completes it
        for event in self._undecided:
            character.append(event)
            if not event.text:
                continue
            text = event.text if self._part_has_text else event.text.lstrip()
            if text:
                self._part_has_text = True
                self._pending += [_Token(token, position) for token in character]
                position += len(text)
            character = []
        self._pending += [_Token(token, position) for token in character]  # of a broken character
        self._undecided.clear()

    def _token(self, event: TokenEvent) -> TokenLogprob:
        logprobs = event.logprobs
        assert logprobs is not None  # noqa: S101 - for the type checker; only such events are fed
        top = [self._candidate(token_id, logprob) for token_id, logprob in logprobs.top]
        chosen = self._candidate(event.token_id, logprobs.logprob)
        return TokenLogprob(**chosen.model_dump(), top_logprobs=top)

    def _candidate(self, token_id: int, logprob: float) -> TopLogprob:
        name = self._vocabulary.token_name(token_id)
        return TopLogprob(
            token=name.decode("utf-8", errors="replace"), logprob=logprob, bytes=list(name)
        )


def joined(parts: Sequence[ChoiceLogprobs | None]) -> ChoiceLogprobs | None:
    """``parts`` as one; None if they have no tokens."""
    tokens = [token for part in parts if part is not None for token in part.content]
    return ChoiceLogprobs(content=tokens) if tokens else None
