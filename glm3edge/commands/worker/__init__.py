"""``glm3edge worker``: this machine's devices for a server elsewhere."""
