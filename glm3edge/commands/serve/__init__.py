"""``glm3edge serve``: from a model's name to a server that answers."""
