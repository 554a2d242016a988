"""Synthetic checkpoints with random weights."""
