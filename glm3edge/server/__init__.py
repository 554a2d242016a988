"""HTTP server: OpenAI's API, Anthropic's, and the chat page."""
