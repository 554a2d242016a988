"""Text from outside, made fit for a terminal and for a model's context."""

import re

MAX_CHARS = 16_000
"""What is longer loses its middle: a result has to fit the context beside the conversation."""

# Escape sequences whole (their letters would stay behind), then the control characters left over.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """``text`` without what commands a terminal or reverses the order of what is shown."""
    plain = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return _CONTROLS.sub("", plain).encode(errors="replace").decode()


def shortened(text: str, limit: int = MAX_CHARS) -> str:
    """``text``; if it has more than ``limit`` characters, its two ends and how much is left out."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
