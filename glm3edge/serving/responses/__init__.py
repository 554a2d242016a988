"""OpenAI's responses as chat completions, and back: pure translation.

The forms are those of https://platform.openai.com/docs/api-reference/responses.
"""
