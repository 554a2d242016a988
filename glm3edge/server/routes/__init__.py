"""Routers: one for each API."""
