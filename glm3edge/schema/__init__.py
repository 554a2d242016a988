"""OpenAI's requests and replies as pydantic models."""
