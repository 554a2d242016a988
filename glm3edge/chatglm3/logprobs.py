"""ContentLogprobs: which sampled tokens are a reply's content, and how likely they were."""

from collections.abc import Sequence

from glm3edge.chatglm3.parser import ReplyParser
from glm3edge.chatglm3.vocabulary import Vocabulary
from glm3edge.schema.chat import ChoiceLogprobs, TokenLogprob, TopLogprob
from glm3edge.types import TokenEvent


class ContentLogprobs:
    """Collects the tokens of a reply's prose, as OpenAI's API reports them.

    Feed it each event after the reply's parser has had it. Metadata lines, tool calls, separators
    and the white space that the parser strips in front are left out. While the parser cannot tell
    yet whether a line names a tool, its tokens wait.
    """

    def __init__(self, vocabulary: Vocabulary, *, assistant_id: int) -> None:
        self._vocabulary = vocabulary
        self._assistant_id = assistant_id
        self._undecided: list[TokenEvent] = []
        self._content: list[TokenEvent] = []
        self._part_has_text = False

    def feed(self, event: TokenEvent, parser: ReplyParser) -> None:
        """Take in ``event``, which ``parser`` has been fed."""
        if event.logprobs is None:
            return
        if event.token_id == self._assistant_id:
            self._part_has_text = False
            self._undecided.clear()
            return
        self._undecided.append(event)
        if parser.is_in_prose:
            self._decide()
        elif parser.is_in_call:
            self._undecided.clear()

    def take(self, *, at_end: bool = False) -> ChoiceLogprobs | None:
        """What has come since the last time, None if nothing has."""
        if at_end:
            self._decide()
        if not self._content:
            return None
        content = [self._token(event) for event in self._content]
        self._content.clear()
        return ChoiceLogprobs(content=content)

    def _decide(self) -> None:
        for event in self._undecided:
            is_edge = event.text.isspace() and not self._part_has_text
            if not is_edge:
                self._part_has_text = True
                self._content.append(event)
        self._undecided.clear()

    def _token(self, event: TokenEvent) -> TokenLogprob:
        logprobs = event.logprobs
        assert logprobs is not None  # noqa: S101 - for the type checker; others are not collected
        top = [self._candidate(token_id, logprob) for token_id, logprob in logprobs.top]
        chosen = self._candidate(event.token_id, logprobs.logprob)
        return TokenLogprob(**chosen.model_dump(), top_logprobs=top)

    def _candidate(self, token_id: int, logprob: float) -> TopLogprob:
        name = self._vocabulary.token_name(token_id)
        return TopLogprob(
            token=name.decode("utf-8", errors="replace"), logprob=logprob, bytes=list(name)
        )


def joined(parts: Sequence[ChoiceLogprobs | None]) -> ChoiceLogprobs | None:
    """All of ``parts`` as one; None if there are none."""
    tokens = [token for part in parts if part is not None for token in part.content]
    return ChoiceLogprobs(content=tokens) if tokens else None
