"""Text of files and strangers, made safe to print.

Terminals obey escape sequences, and bidirectional or invisible characters make a text look like
another one.
"""

import json
import re
from typing import Any

# Whole sequences: without its first character, the rest of one would remain as text.
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")

# Controls (Cc without tab and line feed), surrogates, line separators, and what takes no place:
# bidirectional and zero-width characters, fillers, tags, variation selectors.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e"
    "\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Joiners and presentation selectors, which emoji and some scripts are spelled with.
_SPELLING = "\u200c\u200d\ufe0e\ufe0f"

_MAX_ERROR = 2000  # characters

_HIDDEN_IN_PROSE = re.compile(f"[{_HIDDEN}]")
_HIDDEN_IN_JSON = re.compile(f"[{_HIDDEN}{_SPELLING}]")
_HIDDEN_IN_LINE = re.compile(f"[\t\n{_HIDDEN}{_SPELLING}]")


def printable(text: str) -> str:
    """``text`` without escape sequences and hidden characters; line feeds and tabs stay."""
    return without_hidden(_SEQUENCES.sub("", text.replace("\r\n", "\n")))


def without_hidden(text: str) -> str:
    """``text`` without hidden characters, however it is cut into pieces; line feeds, tabs stay."""
    return _HIDDEN_IN_PROSE.sub(_replacement, text)


def one_line(text: str) -> str:
    """``text`` in one line, with an escape such as ``\\u202e`` for each hidden character.

    For names and values in files, where what is hidden should be seen.
    """
    return _HIDDEN_IN_LINE.sub(_escape, text)


def error_line(exc: Exception) -> str:
    """Message of an error in one line; what it quotes may be of any length."""
    text = one_line(str(exc).replace("\n", " "))
    return text if len(text) <= _MAX_ERROR else f"{text[:_MAX_ERROR]}..."


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON of ``value`` with escapes for hidden characters: exact, and safe to print."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _HIDDEN_IN_JSON.sub(_json_escape, text)


def _replacement(found: re.Match[str]) -> str:
    if found[0] in "\u2028\u2029":
        return "\n"
    return "?" if "\ud800" <= found[0] <= "\udfff" else ""


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
