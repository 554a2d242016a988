"""OpenAI's routes over HTTP."""
