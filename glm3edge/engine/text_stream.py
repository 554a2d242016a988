"""StopStrings: finds stop strings in text that comes in pieces; TextReader reads replies so."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from glm3edge.core import FinishReason, GenerationFinished, TokenEvent, partial_marker


class StopStrings:
    """Passes text on until a stop string is complete, holding back what may be the start of one.

    What is held back is at most one character shorter than the longest stop string.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(filter(None, stops))
        self._held = ""

    @property
    def num_held_chars(self) -> int:
        """Characters that are held back."""
        return len(self._held)

    def feed(self, text: str) -> tuple[str, str | None]:
        """Returns the text that may go out, and the stop string that ended it, if one did: of
        several the one that is complete first, however the text comes in pieces."""
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
        """What was held back: it was no stop string after all."""
        held, self._held = self._held, ""
        return held


class TextReader:
    """Reader of replies that are plain text: see ``sequence.Reader``.

    Its events are ``TokenEvent``s with the text that may go out.
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
    """``end`` with the reply's last text and the stop string that it reached, if it did."""
    reason = end.reason if stop_string is None else FinishReason.STOP
    return replace(end, reason=reason, text=text, stop_string=stop_string)
