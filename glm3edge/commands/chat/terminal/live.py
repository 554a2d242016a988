"""Lines at the end of the terminal that are redrawn in place."""

import re
from collections.abc import Sequence
from typing import IO

_INVISIBLE = re.compile(r"\x1b\[[0-9;]*m|\s+")


class LiveLines:
    """Lines that are updated in place, each time in one write, so that nothing flickers.

    Only lines on the screen can be redrawn; those that have scrolled off stay as they are. The
    cursor is always at the end of the last line.
    """

    def __init__(self, file: IO[str]) -> None:
        """Draw on the terminal that ``file`` writes to."""
        self._file = file
        self._shown: list[str] = []

    def update(self, lines: Sequence[str], *, height: int) -> None:
        """Replace the lines shown by ``lines``, on a screen of ``height`` rows."""
        shown, first = self._shown, 0
        while first < min(len(shown), len(lines)) and shown[first] == lines[first]:
            first += 1
        if first == len(shown) == len(lines):
            return
        first = max(first, len(shown) - max(height - 1, 1))
        first = min(first, max(len(lines) - 1, 0))  # where the cursor is to end
        self._write(self._redrawn(lines, first))
        self._shown = list(lines)

    def redraw(self, lines: Sequence[str], *, height: int) -> None:
        """``update()`` after the window's width has changed, when every line has to be redrawn.

        Lines that have scrolled off the screen stay as they are; those after them are redrawn.
        """
        shown = self._shown
        num_kept = max(len(shown) - max(height - 1, 1), 0)
        num_left = sum(map(_num_visible, shown[:num_kept]))
        first = 0
        while first < len(lines) - 1 and (num_left := num_left - _num_visible(lines[first])) >= 0:
            first += 1
        num_up = max(len(shown) - 1 - num_kept, 0)
        up = f"\x1b[{num_up}A" if num_up else ""
        self._write(f"\r{up}\x1b[J" + "\n".join(lines[first:]))
        self._shown = list(lines)

    def _redrawn(self, lines: Sequence[str], first: int) -> str:
        """Text and escape codes that redraw the lines from ``first`` on."""
        num_shown = len(self._shown)
        start = ""
        if first < num_shown:
            num_up = num_shown - 1 - first
            start = "\r" + (f"\x1b[{num_up}A" if num_up else "")
        elif num_shown:
            start = "\n"
        if not lines:
            return f"{start}\x1b[J"
        *others, last = lines[first:]
        return start + "".join(f"\x1b[K{line}\n" for line in others) + f"\x1b[J{last}"

    def finish(self) -> None:
        """Leave the lines as they are; what follows is a new block."""
        if self._shown:
            self._write("\n")
        self._shown = []

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


def _num_visible(line: str) -> int:
    """Number of visible characters of a line."""
    return len(_INVISIBLE.sub("", line))
