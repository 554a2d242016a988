"""ChatGLM3: how it is recognized, its hyperparameters and tensors, the plan of its GGUF file."""
