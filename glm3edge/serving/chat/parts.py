"""Parts of a chat reply: prose and calls as the client sees them, read from the reply's tokens.

    TokenEvent ──> ReplyParser ──deltas──> StopStrings ──> Part, ... , ChatFinished

What the client does not see, such as metadata lines and the white space at a part's edges, meets
neither stop strings nor log probabilities. Calls are never cut by stop strings.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from glm3edge.chatglm3.chat_logprobs import ContentLogprobs, joined
from glm3edge.chatglm3.parser import Delta, ProseDelta, ReplyParser, ToolCallDelta
from glm3edge.core import FinishReason, GenerationFinished, ProgressEvent, TokenEvent
from glm3edge.engine.text_stream import StopStrings, ended
from glm3edge.schema.chat import ChoiceLogprobs, FinishReasonName


@dataclass(frozen=True, slots=True)
class Part:
    """Piece of a reply.

    Attributes:
        delta: prose or a call, or more of it.
        logprobs: log probabilities of the tokens of content in it.
    """

    delta: Delta
    logprobs: ChoiceLogprobs | None = None

    def joined(self, other: "Part") -> "Part | None":
        """This part and ``other``, which follows it, as one; None if they cannot be one."""
        delta: Delta
        match self.delta, other.delta:
            case ProseDelta(text), ProseDelta(more):
                delta = ProseDelta(text + more)
            case ToolCallDelta(index, None, arguments), ToolCallDelta(_, None, more):
                delta = ToolCallDelta(index, None, arguments + more)
            case _:
                return None
        return Part(delta, joined([self.logprobs, other.logprobs]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFinished(GenerationFinished):
    """The end of a chat reply.

    Attributes:
        has_calls: whether the reply has calls, all of them whole.
        ends_in_prose: whether it ends in prose.
    """

    has_calls: bool
    ends_in_prose: bool

    @property
    def finish_reason(self) -> FinishReasonName:
        """Finish reason, as OpenAI's API names it."""
        if self.reason is FinishReason.LENGTH:
            return "length"
        return "tool_calls" if self.has_calls else "stop"


ReplyItem = Part | ProgressEvent | ChatFinished


class PartReader:
    """Reader of a ChatGLM3 reply's tokens: see ``engine.request.Reader``."""

    def __init__(
        self,
        stop_strings: Sequence[str],
        *,
        parser: ReplyParser,
        logprobs: ContentLogprobs | None = None,
    ) -> None:
        self._parser = parser
        self._stops = StopStrings(stop_strings)
        self._logprobs = logprobs
        self._space = ""  # held back: white space that may be the last
        self._num_visible_chars = 0
        self.stop_string: str | None = None

    def feed(self, event: TokenEvent) -> list[Any]:
        num_known_chars = self._num_known_chars
        deltas = self._parser.feed(event)
        if self._logprobs is not None:
            self._logprobs.feed(event, self._parser, position=num_known_chars)
            num_new_chars = sum(
                len(delta.text) for delta in deltas if isinstance(delta, ProseDelta)
            )
            self._logprobs.limit(self._num_known_chars + num_new_chars)
        return list(self._parts(deltas))

    def finish(self, end: GenerationFinished) -> list[Any]:
        parts: list[Any] = []
        if self.stop_string is None:
            num_known_chars = self._num_known_chars
            deltas = self._parser.finish(end.text, is_cut=end.stop_token_id is None)
            if self._logprobs is not None:
                self._logprobs.finish(self._parser, position=num_known_chars)
            parts += self._parts(deltas)
        if self.stop_string is None:
            parts += self._visible(self._stops.finish())
        end = ended(end, text="", stop_string=self.stop_string)
        values = {field.name: getattr(end, field.name) for field in fields(end)}
        is_in_call = self._parser.is_in_call
        last = ChatFinished(
            **values, has_calls=self._parser.makes_calls, ends_in_prose=not is_in_call
        )
        return [*parts, last]

    @property
    def _num_known_chars(self) -> int:
        """Characters of content so far, including those that are held back."""
        num_held_chars = self._parser.num_held_chars + self._stops.num_held_chars
        return self._num_visible_chars + len(self._space) + num_held_chars

    def _parts(self, deltas: Iterable[Delta]) -> Iterator[Part]:
        """Parts of ``deltas``, up to a stop string."""
        for delta in deltas:
            if isinstance(delta, ToolCallDelta):
                yield from self._visible(self._stops.finish())
                yield Part(delta)
                continue
            text, self.stop_string = self._stops.feed(delta.text)
            yield from self._visible(text)
            if self.stop_string is not None:
                return

    def _visible(self, text: str) -> Iterator[Part]:
        text = self._space + text
        visible = text.rstrip()
        self._space = text[len(visible) :]
        if visible:
            self._num_visible_chars += len(visible)
            content = self._logprobs.take(self._num_visible_chars) if self._logprobs else None
            yield Part(ProseDelta(visible), content)


def read(reader: PartReader, events: Iterable[Any]) -> Iterator[Any]:
    """Parts that ``reader`` makes of a reply's events, and other events as they are."""
    for event in events:
        if isinstance(event, TokenEvent):
            yield from reader.feed(event)
        elif isinstance(event, GenerationFinished):
            yield from reader.finish(event)
        else:
            yield event


def merged(items: Iterable[Any]) -> Iterator[Any]:
    """``items``, with adjacent parts joined where that is possible."""
    last: Any = None
    for item in items:
        both = last.joined(item) if isinstance(last, Part) and isinstance(item, Part) else None
        if both is None and last is not None:
            yield last
        last = both or item
    if last is not None:
        yield last
