"""The size of keys and values in memory."""

from glm3edge.llama.model import Model

_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}  # of a value


def key_value_bytes(model: Model, context_size: int, kv_type: str = "f16") -> int:
    """Bytes that ``context_size`` tokens take in the key/value memory.

    Keys and values of every layer: 28 KiB a token for ChatGLM3-6B in f16.
    """
    num_values = 2 * model.num_layers * model.key_value_length * context_size
    return round(num_values * _BYTES[kv_type])
