"""Model architectures: hyperparameters, tensors and metadata of their GGUF files."""
