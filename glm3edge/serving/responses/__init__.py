"""Translation of OpenAI's responses to chat requests, and of chat replies back.

The forms are those of https://platform.openai.com/docs/api-reference/responses.
"""
