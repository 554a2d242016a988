"""Hugging Face checkpoints: files, tensors, hyperparameters."""
