"""Vocabularies of SentencePiece and WordPiece tokenizers, as GGUF stores them."""
