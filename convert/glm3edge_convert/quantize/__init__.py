"""Quantization: the type of each tensor, and its blocks."""
