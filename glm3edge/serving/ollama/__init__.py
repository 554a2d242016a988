"""Translation of Ollama's requests to chat requests, and of chat replies back.

The forms are those of https://github.com/ollama/ollama/blob/main/docs/api.md.
"""
