"""Line wrapping, between words and between Chinese characters."""

import unicodedata
from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

_NOT_FIRST = frozenset("，。！？、；：）」』】》〉”’…—～·,.!?;:)]}%")
_NOT_LAST = frozenset("（「『【《〈“‘([{")


def wrap(text: Text, width: int) -> Text:
    """``text`` wrapped to ``width`` cells."""
    return Text("\n").join(
        line
        for paragraph in text.split("\n", allow_blank=True)
        for line in _lines(paragraph, width)
    )


def _lines(text: Text, width: int) -> Iterator[Text]:
    for line in text.divide(break_offsets(text.plain, width)):
        line.rstrip()
        yield line


def break_offsets(text: str, width: int) -> list[int]:
    """Offsets at which ``text`` is broken into lines of ``width`` cells.

    No line begins with a closing mark or ends with an opening one, unless it cannot be avoided.
    """
    offsets: list[int] = []
    start = used = 0
    possible = 0  # the last offset in this line at which it may be broken
    for offset, char in enumerate(text):
        if offset > start and _may_break(text, offset):
            possible = offset
        size = cell_len(char)
        if offset > start and used + size > width and not char.isspace():
            start = possible if possible > start else offset
            offsets.append(start)
            used = cell_len(text[start:offset])
        used += size
    return offsets


def _may_break(text: str, offset: int) -> bool:
    """Whether a line may end before ``text[offset]``."""
    before, after = text[offset - 1], text[offset]
    if after.isspace() or unicodedata.combining(after) or cell_len(after) == 0:
        return False
    if before.isspace():
        return True
    if after in _NOT_FIRST or before in _NOT_LAST:
        return False
    return _is_wide(before) or _is_wide(after) or before == "-"


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"
