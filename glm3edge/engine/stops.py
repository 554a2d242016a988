"""StopStrings: finds stop strings in text that comes in pieces."""

from collections.abc import Sequence

from glm3edge.text import partial_marker


class StopStrings:
    """Passes text on until a stop string is complete, holding back what may be the start of one.

    What is held back is at most one character shorter than the longest stop string.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(filter(None, stops))
        self._held = ""

    def feed(self, text: str) -> tuple[str, str | None]:
        """Returns the text that may go out, and the stop string that ended it, if one did."""
        if not self._stops:
            return text, None
        text = self._held + text
        found = [(start, stop) for stop in self._stops if (start := text.find(stop)) >= 0]
        if found:
            self._held = ""
            start, stop = min(found)
            return text[:start], stop
        keep = max(partial_marker(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], None

    def finish(self) -> str:
        """What was held back: it was no stop string after all."""
        held, self._held = self._held, ""
        return held
