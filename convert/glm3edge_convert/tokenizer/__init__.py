"""Tokenizers and their GGUF metadata."""
