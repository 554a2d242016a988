"""Sanitizing of untrusted text, for a terminal and for a model's context."""

import re

MAX_CHARS = 16_000
"""Length beyond which text loses its middle: a result shares the context with the conversation."""

# Whole escape sequences (or their letters would remain), then the remaining control characters.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """``text`` without escape sequences, control characters and bidirectional overrides."""
    plain = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return _CONTROLS.sub("", plain).encode(errors="replace").decode()


def shortened(text: str, limit: int = MAX_CHARS) -> str:
    """``text``; beyond ``limit`` characters its two ends, and how many characters are left out."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
