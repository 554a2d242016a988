"""Quantization: the type of each tensor, importance matrices, and the arithmetic in threads."""
