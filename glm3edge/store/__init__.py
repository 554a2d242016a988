"""Model files: names to paths, the cache folder, the hubs."""
