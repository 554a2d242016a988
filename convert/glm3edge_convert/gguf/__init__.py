"""GGUF files: writing, locking, recognizing."""
