"""GGUF files: recognized by their first bytes, written in a stream."""
