"""Translation of Anthropic's messages to chat requests, and of chat replies back.

The forms are those of https://docs.anthropic.com/en/api/messages.
"""
