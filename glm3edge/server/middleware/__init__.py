"""ASGI middleware that refuses requests before any route reads them."""
