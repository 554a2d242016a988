from glm3edge.llama.model import Model
from glm3edge.llama.offload import key_value_bytes, physical_memory_bytes


def test_key_value_bytes(tiny_model: Model) -> None:
    """4 layers, 2 groups of 64, keys and values, 2 bytes: llama.cpp allocates the same."""
    assert key_value_bytes(tiny_model, 1024) == 1024 * 4 * 2 * 64 * 2 * 2


def test_physical_memory() -> None:
    assert physical_memory_bytes() > 2**28
