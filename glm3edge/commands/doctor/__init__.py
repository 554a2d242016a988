"""``glm3edge doctor``: this machine, its devices, and what is missing to use them."""
