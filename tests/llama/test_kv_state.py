from collections.abc import Iterator

import pytest

from glm3edge.core import Span
from glm3edge.llama.context import Context
from glm3edge.llama.kv_state import unpack
from glm3edge.llama.model import Model

PROMPT = list(range(100, 132))


@pytest.fixture
def context(tiny_model: Model) -> Iterator[Context]:
    with Context(
        tiny_model, context_size=64, batch_size=32, num_sequences=1, num_threads=1
    ) as context:
        yield context


def test_layouts_that_are_not_known(context: Context, tiny_model: Model) -> None:
    context.decode([Span(0, 0, PROMPT, wants_output=False)])
    sizes = {"num_layers": tiny_model.num_layers, "width": tiny_model.key_value_length}
    state = context.state(0)
    assert unpack(state, **sizes).pack() == state
    head = 16 + 12 * len(PROMPT)
    # The sequence, counts, a cell, whether values are transposed, layers, a type, a row's size.
    for offset in (4, 8, 12, 16, 20, head, head + 4, head + 8, head + 12):
        changed = bytearray(state)
        changed[offset] ^= 2
        with pytest.raises(ValueError, match=r"^its? "):
            unpack(bytes(changed), **sizes)
    for end in (0, 7, 50, head, len(state) - 1):
        with pytest.raises(ValueError, match="it is shorter"):
            unpack(state[:end], **sizes)
