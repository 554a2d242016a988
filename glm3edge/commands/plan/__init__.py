"""``glm3edge plan``: which quantizations fit a machine, on which devices, and how fast."""
