"""Pydantic models of requests and replies, of OpenAI's APIs and Anthropic's."""
