"""Defaults of settings, as the help of the options names them too.

Nothing is imported here, since help and the first line of ``serve`` have to come at once.
"""

HOST = "127.0.0.1"
PORT = 8000

CONTEXT_SIZE = 8192
"""Tokens of context, for models that take as many: 224 MiB of memory for ChatGLM3-6B."""

PARALLEL = 4
QUEUE = 64
TIMEOUT = 0.0
STALL_TIMEOUT = 20.0
DISK_CACHE_BYTES = 4 * 2**30
