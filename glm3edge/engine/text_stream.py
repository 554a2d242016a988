"""Text of a reply as its tokens come: bytes to characters, and stop strings.

    token pieces ──Detokenizer──> text ──StopStrings──> text before the stop string

Both hold back what the next piece may change, and give it out in ``finish()``.
"""

import codecs
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from glm3edge.core import FinishReason, GenerationFinished, TokenEvent, partial_marker


class Detokenizer:
    """Incremental UTF-8 decoder of token pieces.

    A character may be spread over several byte tokens; it comes out with the last of them. Invalid
    bytes come out as U+FFFD.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, piece: bytes) -> str:
        """Text that ``piece`` completes."""
        return self._decoder.decode(piece)

    def finish(self) -> str:
        """U+FFFD if the text ends inside a character, else nothing. Ready for new text."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text


class StopStrings:
    """Incremental search for stop strings, which holds back text that may be the start of one.

    It holds back at most one character less than the longest stop string has.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(filter(None, stops))
        self._held = ""

    @property
    def num_held_chars(self) -> int:
        """Characters that are held back."""
        return len(self._held)

    def feed(self, text: str) -> tuple[str, str | None]:
        """Text that may be sent, and the stop string that ended it, if one did: of several the one
        that is complete first, however the text is split into pieces."""
        if not self._stops:
            return text, None
        text = self._held + text
        found = [
            (start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0
        ]
        if found:
            self._held = ""
            end, start = min(found)
            return text[:start], text[start:end]
        keep = max(partial_marker(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], None

    def finish(self) -> str:
        """Text that was held back: it was no stop string after all."""
        held, self._held = self._held, ""
        return held


class TextReader:
    """``Reader`` of replies that are plain text.

    Its events are ``TokenEvent``s with the text that may be sent.
    """

    def __init__(self, stop_strings: Sequence[str]) -> None:
        self._stops = StopStrings(stop_strings)
        self.stop_string: str | None = None

    def feed(self, event: TokenEvent) -> list[Any]:
        text, self.stop_string = self._stops.feed(event.text)
        return [TokenEvent(event.token_id, text, event.logprobs)]

    def finish(self, end: GenerationFinished) -> list[Any]:
        text = ""
        if self.stop_string is None:
            text, self.stop_string = self._stops.feed(end.text)
            text += self._stops.finish()
        return [ended(end, text=text, stop_string=self.stop_string)]


def ended(end: GenerationFinished, *, text: str, stop_string: str | None) -> GenerationFinished:
    """``end`` with the last text of the reply and the stop string that ended it, if one did."""
    reason = end.reason if stop_string is None else FinishReason.STOP
    return replace(end, reason=reason, text=text, stop_string=stop_string)
