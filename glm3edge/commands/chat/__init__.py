"""``glm3edge chat``: conversations in the terminal, with a model in this process or on a server."""
