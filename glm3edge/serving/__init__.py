"""Services that turn requests into replies, without HTTP."""
