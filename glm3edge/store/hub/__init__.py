"""Models from a hub: names, what of a repository is needed, and the ways to get it."""
