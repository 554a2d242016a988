"""Sources of replies: a model in this process, or a server with OpenAI's routes."""
