"""Model architectures: the metadata and tensors of their GGUF files."""
