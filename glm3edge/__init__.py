"""ChatGLM3-6B at home: quantized, on llama.cpp, behind OpenAI's routes."""

__version__ = "0.1.0"
