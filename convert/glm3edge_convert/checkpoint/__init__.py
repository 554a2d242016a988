"""Hugging Face checkpoint folders, whatever the model: configuration, and weights by rows."""
