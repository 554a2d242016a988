"""OpenAI's requests and replies, and Anthropic's, as pydantic models."""
