"""One router for each API, and what the routers share."""
