"""Anthropic's messages as chat completions, and back: pure translation.

The forms are those of https://docs.anthropic.com/en/api/messages.
"""
