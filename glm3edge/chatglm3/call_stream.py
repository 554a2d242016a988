"""Streaming of a call's arguments: JSON text while the model still writes the call.

Only two kinds of calls can be streamed: those that follow a grammar (``chatglm3.grammar``), whose
form is known in advance, and blocks of code, which are valid whatever they say. The texts that come
out, joined, are the arguments; of a reply that was cut they are JSON that breaks off.
"""

import json
import re
from typing import Protocol

from glm3edge.schema.chat import INTERPRETER

_BEGIN, _STARS = "tool_call(", "**{"
_NUMBER = re.compile(r"[-+.\deE]+|[: ]+")  # and what stands between keys and values
_NAMES = {"True": "true", "False": "false", "None": "null"}
_NAMES |= {name: name for name in _NAMES.values()}  # JSON
_SIMPLE = {"\\": "\\", "'": "'", '"': '"'} | dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_SPECIAL = {"'": re.compile(r"[\\']"), '"': re.compile(r'[\\"]')}
_NUM_DIGITS = {"x": 2, "u": 4, "U": 8}


class ArgumentStream(Protocol):
    """Incremental reader of a call: the text after the tool's name in, JSON arguments out."""

    @property
    def is_complete(self) -> bool:
        """Whether the arguments that have come out are complete."""

    def feed(self, text: str) -> str:
        """More of the arguments, after more ``text`` of the call."""

    def finish(self, *, is_cut: bool) -> str:
        """The rest of the arguments; ``is_cut`` says that the model did not end the call."""


def argument_stream(name: str) -> ArgumentStream:
    """Argument stream for a call of the tool ``name``."""
    return CodeArgumentStream() if name == INTERPRETER else CallArgumentStream()


class CallArgumentStream:
    """Arguments of a call that follows a grammar, ``tool_call(key=literal, **{'key': literal})``.

    HEAD ──"tool_call("──> KEY ─"key=", "**{"─> VALUE ──")"──> END
                            ^ │                  │ ^
                            │ └──")"──> END      │ └──quote──> STRING ──> back
                            └──────","───────────┘
    """

    def __init__(self) -> None:
        self._held = ""  # text that is too short to tell what it is
        self._step = self._head
        self._depth = 0  # of lists and objects
        self._is_starred = False  # whether "**{" opened the outermost object
        self._quote = ""
        self.is_complete = False

    def feed(self, text: str) -> str:
        """More of the arguments; nothing once the text cannot be such a call."""
        self._held += text
        pieces = []
        while self._held and not self.is_complete and (piece := self._step()) is not None:
            pieces.append(piece)
        return "".join(pieces)

    def finish(self, *, is_cut: bool) -> str:
        """Always empty: a call that breaks off has no more arguments."""
        return ""

    def _take(self, num_chars: int) -> str:
        taken, self._held = self._held[:num_chars], self._held[num_chars:]
        return taken

    def _head(self) -> str | None:
        start = self._held.find(_BEGIN)
        if start < 0:
            return None
        self._take(start + len(_BEGIN))
        self._step = self._key
        return "{"

    def _key(self) -> str | None:
        if self._held[0] == " ":
            return self._take(1)
        if self._held[0] == ")":
            return self._end()
        if self._held.startswith(_STARS):
            self._take(len(_STARS))
            self._step = self._value  # keys are strings, and ": " follows them
            self._depth, self._is_starred = 1, True
            return ""
        if not (length := self._held.find("=") + 1) or self._held[0] == "*":
            return None
        self._step = self._value
        return json.dumps(self._take(length)[:-1], ensure_ascii=False) + ": "

    def _value(self) -> str | None:
        first = self._held[0]
        if first in "'\"":
            self._quote = self._take(1)
            self._step = self._string
            return '"'
        if first in "[]{}":
            return self._bracket()
        if first == ",":
            self._step = self._value if self._depth else self._key
            return self._take(1)
        if first == ")":
            return self._end()
        if found := _NUMBER.match(self._held):
            return self._take(found.end())
        return self._name()

    def _bracket(self) -> str:
        bracket = self._take(1)
        self._depth += 1 if bracket in "[{" else -1
        if self._is_starred and not self._depth:
            self._is_starred = False
            return ""
        return bracket

    def _name(self) -> str | None:
        for name, spelled in _NAMES.items():
            if self._held.startswith(name):
                self._take(len(name))
                return spelled
        return None

    def _string(self) -> str | None:
        found = _SPECIAL[self._quote].search(self._held)
        if found is not None and found.start() == 0:
            return self._escape() if found[0] == "\\" else self._end_string()
        return _json_text(self._take(len(self._held) if found is None else found.start()))

    def _end_string(self) -> str:
        self._take(1)
        self._step = self._value
        return '"'

    def _escape(self) -> str | None:
        """The character of an escape sequence of Python."""
        kind = self._held[1:2]
        length = 2 + _NUM_DIGITS.get(kind, 0)
        if len(self._held) < length:
            return None
        text = self._take(length)
        digits = text[2:]
        return _json_text(chr(int(digits, 16)) if digits else _SIMPLE.get(kind, text))

    def _end(self) -> str:
        self.is_complete = True
        return "}"


class CodeArgumentStream:
    """Arguments ``{"code": ...}`` of a block of Python; the fence around it may be missing."""

    is_complete = False  # cannot be known before the reply ends

    def __init__(self) -> None:
        self._held = ""
        self._is_fenced: bool | None = None  # None: not known yet
        self._is_opened = False
        self._has_code = False

    def feed(self, text: str) -> str:
        """More of the arguments; what may be the end of the block is held back."""
        self._held += text
        if not self._find_code(at_end=False):
            return ""
        if not self._has_code:
            self._held = self._held.lstrip("\n")
        visible = _without_end(self._held)
        self._held = self._held[len(visible) :]
        self._has_code |= bool(visible)
        return self._opening() + _json_text(visible)

    def finish(self, *, is_cut: bool) -> str:
        """The rest of the code, and the end of the arguments unless the code was cut."""
        if is_cut:
            return ""
        self._find_code(at_end=True)
        rest = self._held.rstrip()
        if self._is_fenced:
            rest = rest.removesuffix("```").rstrip("\n")
        if not self._has_code:
            rest = rest.lstrip("\n")
        self.is_complete = True
        return self._opening() + _json_text(rest) + '"}'

    def _opening(self) -> str:
        """The beginning of the arguments, the first time."""
        opening = "" if self._is_opened else '{"code": "'
        self._is_opened = True
        return opening

    def _find_code(self, *, at_end: bool) -> bool:
        """Drop the fence before the code, if there is one. Whether the code has begun."""
        if self._is_fenced is not None:
            return True
        text = self._held.lstrip()
        if not at_end and ("```".startswith(text) or (text[:3] == "```" and "\n" not in text)):
            return False
        self._is_fenced = text.startswith("```")
        self._held = text.partition("\n")[2] if self._is_fenced else text
        return True


def _without_end(code: str) -> str:
    """``code`` without white space and backticks at its end."""
    while (shorter := code.rstrip().rstrip("`")) != code:
        code = shorter
    return code


def _json_text(text: str) -> str:
    """``text`` inside a JSON string."""
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: legal in JSON as an escape only
        return json.dumps(text)[1:-1]
    return json.dumps(text, ensure_ascii=False)[1:-1]
