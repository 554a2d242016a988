"""Older forms of OpenAI's chat requests, and that of ChatGLM3's server: translation only."""
