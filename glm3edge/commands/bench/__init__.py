"""``glm3edge bench``: this server against the bare engine and peers, as ratios within one run."""
