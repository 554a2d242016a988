"""Encoders, BERT and XLM-RoBERTa, which llama.cpp both computes as ``bert``.

Both make embeddings; XLM-RoBERTa with a classification head of one label reranks.
"""
