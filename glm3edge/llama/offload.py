"""What fits into memory: the size of keys and values, and what the machine has."""

import psutil

from glm3edge.llama.model import Model

_F16_BYTES = 2


def key_value_bytes(model: Model, context_size: int) -> int:
    """Bytes that ``context_size`` tokens take in the key/value memory, in f16.

    Keys and values of every layer: 28 KiB a token for ChatGLM3-6B.
    """
    return 2 * model.num_layers * model.key_value_length * _F16_BYTES * context_size


def physical_memory_bytes() -> int:
    """Bytes of memory this machine has."""
    return psutil.virtual_memory().total
