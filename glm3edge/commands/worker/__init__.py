"""``glm3edge worker``: this machine's devices, offered to a server elsewhere."""
