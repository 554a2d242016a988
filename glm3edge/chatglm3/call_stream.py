"""Pieces: a call's arguments as JSON, while the model still writes them.

What is read here is either held to a grammar (``chatglm3.grammar``), so that its form is known
before it is there, or a block of code, which is right whatever it says. Joined, the pieces are the
arguments; of a reply that was cut they are JSON that breaks off.
"""

import json
import re
from typing import Protocol

from glm3edge.schema.chat import INTERPRETER

_BEGIN, _STARS = "tool_call(", "**{"
_NUMBER = re.compile(r"[-+.\deE]+|[: ]+")  # and what stands between keys and values
_NAMES = {"True": "true", "False": "false", "None": "null"}
_SIMPLE = {"\\": "\\", "'": "'", '"': '"'} | dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_SPECIAL = {"'": re.compile(r"[\\']"), '"': re.compile(r'[\\"]')}
_NUM_DIGITS = {"x": 2, "u": 4, "U": 8}


class Pieces(Protocol):
    """Takes what follows a tool's name, in whatever parts it comes."""

    @property
    def is_complete(self) -> bool:
        """Whether what was given so far is all of the arguments."""

    def feed(self, text: str) -> str:
        """More of the arguments."""

    def finish(self, *, is_cut: bool) -> str:
        """The rest of them, after the last ``text``, where the model stopped or was stopped."""


def pieces_of(name: str) -> Pieces:
    """For a call of the tool ``name``."""
    return CodePieces() if name == INTERPRETER else CallPieces()


class CallPieces:
    """A call that is held to a grammar: ``tool_call(key=literal, **{'key': literal}, ...)`` in a
    code block.

    HEAD ──"tool_call("──> KEY ─"key=", "**{"─> VALUE ──")"──> END
                            ^ │                  │ ^
                            │ └──")"──> END      │ └──quote──> STRING ──> back
                            └──────","───────────┘
    """

    def __init__(self) -> None:
        self._held = ""  # too little to tell what it is
        self._step = self._head
        self._depth = 0  # of lists and objects
        self._quote = ""
        self.is_complete = False

    def feed(self, text: str) -> str:
        """More of the arguments; nothing more, once it is no such call."""
        self._held += text
        pieces = []
        while self._held and not self.is_complete and (piece := self._step()) is not None:
            pieces.append(piece)
        return "".join(pieces)

    def finish(self, *, is_cut: bool) -> str:
        """Nothing: a call that breaks off has no more to give."""
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
            self._step = self._value  # the key is a string, and ": " follows it
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
        if bracket == "}" and not self._depth:  # "**{" has opened it
            return ""
        self._depth += 1 if bracket in "[{" else -1
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
        """What a backslash and what follows it stand for in Python."""
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


class CodePieces:
    """A block of Python, which becomes ``{"code": ...}``; the fence around it may be missing."""

    is_complete = False  # before the reply's end nobody can tell

    def __init__(self) -> None:
        self._held = ""
        self._is_fenced: bool | None = None  # None: nothing is known yet
        self._has_begun = False
        self._has_code = False

    def feed(self, text: str) -> str:
        """More of the arguments: all but what may be the block's end."""
        self._held += text
        if not self._open(at_end=False):
            return ""
        if not self._has_code:
            self._held = self._held.lstrip("\n")
        visible = _without_end(self._held)
        self._held = self._held[len(visible) :]
        self._has_code |= bool(visible)
        return self._begun() + _json_text(visible)

    def finish(self, *, is_cut: bool) -> str:
        """The rest of the code; the arguments end if the code does."""
        if is_cut:
            return ""
        self._open(at_end=True)
        rest = self._held.rstrip()
        if self._is_fenced:
            rest = rest.removesuffix("```").rstrip("\n")
        if not self._has_code:
            rest = rest.lstrip("\n")
        self.is_complete = True
        return self._begun() + _json_text(rest) + '"}'

    def _begun(self) -> str:
        """How the arguments begin, once."""
        begin = "" if self._has_begun else '{"code": "'
        self._has_begun = True
        return begin

    def _open(self, *, at_end: bool) -> bool:
        """Whether the code has begun: behind the fence, if there is one."""
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
