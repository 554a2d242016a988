"""``glm3edge doctor``: what this machine has, what llama.cpp makes of it, and what is missing."""
