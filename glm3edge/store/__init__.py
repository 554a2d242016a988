"""Model files: names to paths, the cache folder, hubs."""
