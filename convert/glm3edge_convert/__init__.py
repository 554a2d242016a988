"""Turns a ChatGLM3 checkpoint into a quantized GGUF file; see `convert.convert`."""
