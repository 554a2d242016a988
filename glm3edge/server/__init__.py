"""OpenAI's routes, and Anthropic's, over HTTP."""
