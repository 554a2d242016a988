"""llama.cpp behind safe lifetimes: the only package that imports ``llama_cpp``."""
