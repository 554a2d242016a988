import pytest

from glm3edge.llama.model import Model
from glm3edge.llama.offload import key_value_bytes


@pytest.mark.parametrize(("kv_type", "bytes_of_32"), [("f16", 64), ("q8_0", 34), ("q4_0", 18)])
def test_key_value_bytes(tiny_model: Model, kv_type: str, bytes_of_32: int) -> None:
    """4 layers of 2 groups of 64, keys and values."""
    num_values = 1024 * 4 * 2 * 64 * 2
    assert key_value_bytes(tiny_model, 1024, kv_type) == num_values // 32 * bytes_of_32
