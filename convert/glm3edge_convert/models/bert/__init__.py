"""Encoders for embeddings, BERT and XLM-RoBERTa, which llama.cpp both computes as ``bert``."""
