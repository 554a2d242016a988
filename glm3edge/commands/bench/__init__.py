"""Measuring: this server against the bare engine and its peers, as ratios within one run."""
