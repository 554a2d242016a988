"""ASGI middleware that refuses requests before they reach a route."""
