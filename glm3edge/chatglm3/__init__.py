"""ChatGLM3's protocol: prompts and replies. Pure Python, no model needed."""
