"""Shortening of text for a model's context."""

MAX_CHARS = 16_000
"""Length beyond which text loses its middle: a result shares the context with the conversation."""


def shortened(text: str, limit: int = MAX_CHARS) -> str:
    """``text``; beyond ``limit`` characters its two ends, and how many characters are left out."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
