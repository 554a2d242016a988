"""``glm3edge plan``: which quantization fits this machine, in which layers, how fast."""
