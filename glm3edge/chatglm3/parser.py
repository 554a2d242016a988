"""Streaming parser of ChatGLM3 replies: token events to prose and tool calls.

A reply is one or more parts with ``<|assistant|>`` between them; a part is a metadata line, "\\n"
and content:

    METADATA ──"\\n", empty line──> PROSE
        │  └────line names a tool──> CALL
        └──can name no tool────────> PROSE   (the line included: models forget the newline)

Separators are recognised by their token id; text that spells one is text. Where no tool may be
called the first part's metadata line is in the prompt, and the reply begins in PROSE; so it does
where it goes on with a message.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from glm3edge.chatglm3.call_stream import ArgumentStream, argument_stream
from glm3edge.core import TokenEvent, partial_marker

_YEAR_MARK = "[[训练时间]]"
_YEAR = "2023年"


@dataclass(frozen=True, slots=True)
class ProseDelta:
    """More of the text that is meant for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A tool call, or more of one.

    Attributes:
        index: number of the call in the reply, from 0.
        name: of the tool, in a call's first delta, without arguments; None in those that follow.
        arguments: more of the arguments; joined they are a JSON object.
    """

    index: int
    name: str | None
    arguments: str


Delta = ProseDelta | ToolCallDelta


class _State(Enum):
    METADATA = auto()
    PROSE = auto()
    CALL = auto()


class ReplyParser:
    """Parser of one reply: ``feed()`` its events, then ``finish()``.

    Every character comes out once, except white space at a part's edges; where the reply goes on
    with a message, its beginning is no edge.
    """

    def __init__(
        self,
        *,
        assistant_id: int,
        tool_names: Collection[str] = (),
        begins_in_prose: bool = False,
        continues_prose: bool = False,
    ) -> None:
        """Start a reply.

        Args:
            assistant_id: the token between parts.
            tool_names: tools the model was offered, whose calls follow a grammar; a metadata line
                that names another is prose.
            begins_in_prose: the prompt has the first part's metadata line.
            continues_prose: the prompt has that line and the beginning of the part's text.
        """
        self._assistant_id = assistant_id
        self._tool_names = frozenset(tool_names)
        self._arguments: ArgumentStream | None = None  # of the call that is being written
        self._last_is_whole = False
        self._prose = _ProseFilter()
        self._num_calls = 0
        self._begin_part()
        if begins_in_prose or continues_prose:
            self._state = _State.PROSE
        if continues_prose:
            self._prose.continue_part()

    @property
    def is_in_prose(self) -> bool:
        """Whether the last text is meant for the user."""
        return self._state is _State.PROSE

    @property
    def is_in_call(self) -> bool:
        """Whether the last text belongs to a tool call."""
        return self._state is _State.CALL

    @property
    def num_held_chars(self) -> int:
        """Characters of prose that are held back."""
        return self._prose.num_held_chars

    @property
    def makes_calls(self) -> bool:
        """Whether the reply has calls, all of them whole."""
        return self._num_calls > 0 and self._last_is_whole

    def feed(self, event: TokenEvent) -> list[Delta]:
        """Deltas that ``event`` completes."""
        deltas = self._feed_text(event.text)
        if event.token_id == self._assistant_id:
            deltas += self._end_part()
            self._begin_part()
        return deltas

    def finish(self, text: str = "", *, is_cut: bool = False) -> list[Delta]:
        """Deltas that were held back, after the reply's last ``text``.

        ``is_cut`` says that the model did not end it.
        """
        return self._feed_text(text) + self._end_part(is_cut=is_cut)

    def _begin_part(self) -> None:
        self._state = _State.METADATA
        self._buffer = ""
        self._arguments = None
        self._prose.begin_part()

    def _feed_text(self, text: str) -> list[Delta]:
        if self._state is _State.PROSE:
            return _prose(self._prose.feed(text))
        if self._arguments is not None:
            return self._more_arguments(self._arguments.feed(text))
        self._buffer += text
        return self._read_metadata()

    def _read_metadata(self) -> list[Delta]:
        line, newline, rest = self._buffer.partition("\n")
        name = line.strip()
        if newline and name in self._tool_names:
            return self._begin_call(name, rest)
        if not newline and self._may_name_a_tool(name):
            return []
        return self._turn_to_prose(rest if newline and not name else self._buffer)

    def _may_name_a_tool(self, name: str) -> bool:
        return not name or any(tool.startswith(name) for tool in self._tool_names)

    def _turn_to_prose(self, text: str) -> list[Delta]:
        self._state = _State.PROSE
        self._buffer = ""
        return _prose(self._prose.feed(text))

    def _end_part(self, *, is_cut: bool = False) -> list[Delta]:
        if self._arguments is not None:
            last = self._more_arguments(self._arguments.finish(is_cut=is_cut))
            self._last_is_whole = self._arguments.is_complete
            return last
        if self._state is _State.METADATA:
            name = self._buffer.strip()
            if is_cut and name and self._may_name_a_tool(name):
                return []  # half a name is neither a call nor meant for the user
            return self._turn_to_prose(self._buffer) + _prose(self._prose.end_part())
        return _prose(self._prose.end_part())

    def _begin_call(self, name: str, text: str) -> list[Delta]:
        self._state, self._buffer = _State.CALL, ""
        self._arguments = argument_stream(name)
        self._num_calls += 1
        begun: list[Delta] = [ToolCallDelta(self._num_calls - 1, name, "")]
        return begun + self._more_arguments(self._arguments.feed(text))

    def _more_arguments(self, text: str) -> list[Delta]:
        return [ToolCallDelta(self._num_calls - 1, None, text)] if text else []


class _ProseFilter:
    """Filter of prose: strips parts, joins them with newlines, fills in the model's year mark."""

    def __init__(self) -> None:
        self._held = ""
        self._part_has_text = False
        self._reply_has_text = False

    @property
    def num_held_chars(self) -> int:
        return len(self._held)

    def begin_part(self) -> None:
        self._held = ""
        self._part_has_text = False

    def continue_part(self) -> None:
        self._part_has_text = self._reply_has_text = True

    def feed(self, text: str) -> str:
        """Text that is final: trailing white space and half a year mark are held back."""
        text = (self._held + text).replace(_YEAR_MARK, _YEAR)
        if not self._part_has_text:
            text = text.lstrip()
        visible = text[: len(text) - partial_marker(text, _YEAR_MARK)].rstrip()
        self._held = text[len(visible) :]
        return self._joined(visible)

    def end_part(self) -> str:
        """The rest of the part."""
        rest, self._held = self._held.rstrip(), ""
        return self._joined(rest)

    def _joined(self, text: str) -> str:
        if not text:
            return ""
        starts_later_part = self._reply_has_text and not self._part_has_text
        self._part_has_text = self._reply_has_text = True
        return "\n" + text if starts_later_part else text


def _prose(text: str) -> list[Delta]:
    return [ProseDelta(text)] if text else []
