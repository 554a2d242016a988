"""Engines on other machines, which are asked for token ids over HTTP."""
