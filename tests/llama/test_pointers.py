"""What passes between Python and llama.cpp leaves memory at once, not when garbage is collected."""

import ctypes
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glm3edge.core import Span
from glm3edge.llama.context import Context
from glm3edge.llama.device_placement import Placement
from glm3edge.llama.encoder import Encoder
from glm3edge.llama.model import Model
from glm3edge.llama.model_checks import ENCODER_ARCHITECTURE
from glm3edge.llama.pointers import byte_pointer, floats_at
from glm3edge_convert import convert
from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint
from tests.support.encoders import make_bert

pytestmark = pytest.mark.slow

WIDE = Shape(1024, 4, 8, 8, 128, 128, 1024)  # 16 KiB of keys and values a token
NUM_TOKENS = 640
MIB = 2**20
NUM_STATES = 20


@pytest.fixture(scope="module")
def wide_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    make_checkpoint(folder / "model", shape=WIDE)
    convert(folder / "model", folder / "model.gguf", quant_type="f16")
    return folder / "model.gguf"


@pytest.fixture(scope="module")
def context(wide_gguf: Path) -> Iterator[Context]:
    """A context whose sequence 0 has a state of 10 MiB."""
    with (
        Model(wide_gguf) as model,
        Context(
            model, context_size=2 * NUM_TOKENS + 64, batch_size=64, num_sequences=2, num_threads=1
        ) as context,
    ):
        for start in range(0, NUM_TOKENS, 64):
            ids = list(range(start, start + 64))
            context.decode([Span(0, start, ids, wants_output=True)], hidden_states=True)
        yield context


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Without the garbage collector, and with what Python allocates counted."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()
    gc.collect()


@pytest.mark.usefixtures("no_collector")
def test_states_that_are_dropped_leave_memory(context: Context) -> None:
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(NUM_STATES):
        assert len(context.state(0)) > 10 * MIB
    assert tracemalloc.get_traced_memory()[0] - before < MIB
    assert tracemalloc.get_traced_memory()[1] - before < 1.5 * 10.1 * MIB  # one state, no copy


@pytest.mark.usefixtures("no_collector")
def test_states_that_were_restored_leave_memory(context: Context) -> None:
    state = context.state(0)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(NUM_STATES):
        read = bytes(bytearray(state))  # as a file would give it
        assert context.restore(1, read)
        assert context.state(1) != b""
        context.truncate(1, 0)
        assert not context.restore(1, read[: 5 * MIB])
        assert not context.restore(1, b"")
        del read
    assert tracemalloc.get_traced_memory()[0] - before < MIB


def test_a_restored_state_is_the_state(context: Context) -> None:
    state = context.state(0)
    assert context.restore(1, state)
    span = [Span(number, NUM_TOKENS, [7], wants_output=True) for number in (0, 1)]
    first, second = context.decode(span)
    np.testing.assert_array_equal(context.logits(first, 1), context.logits(second, 1))
    for number in (0, 1):
        context.truncate(number, NUM_TOKENS)
    context.truncate(1, 0)


def calls(context: Context, encoder: Encoder) -> dict[str, Callable[[], Any]]:
    """What gives something to llama.cpp, or gets something from it."""
    context.decode([Span(0, NUM_TOKENS, [5, 6], wants_output=True)], hidden_states=True)
    return {
        "state": lambda: context.state(0),
        "hidden states": lambda: context.hidden_states(0, 2),
        "logits": lambda: context.logits(1, 1),
        "log probabilities": lambda: context.logprobs(1, 3, 5),
        "allocations": context.allocations,
        "vectors": lambda: encoder.encode([encoder.tokenize("你好")]),
        "a load": lambda: Model(
            context.model.path, no_alloc=True, placement=Placement(overrides=(("x", "CPU"),))
        ).close(),
    }


def test_no_call_leaves_a_cycle(context: Context, tmp_path: Path) -> None:
    make_bert(tmp_path / "bert")
    convert(tmp_path / "bert", tmp_path / "bert.gguf", quant_type="f32")
    with (
        Model(tmp_path / "bert.gguf", architecture=ENCODER_ARCHITECTURE) as model,
        Encoder(model, batch_size=64, num_sequences=1, num_threads=1) as encoder,
    ):
        for name, call in calls(context, encoder).items():
            call()  # what is made once
            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                call()
                gc.collect()
                left = [thing for thing in gc.garbage if isinstance(thing, _DATA)]
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
            assert not left, name
    context.truncate(0, NUM_TOKENS)


_DATA = (bytes, bytearray, np.ndarray, ctypes._SimpleCData, ctypes._Pointer, ctypes.Array)


@pytest.mark.parametrize("length", [1, 7, 4096])
def test_pointers_lead_where_they_should(length: int) -> None:
    data = np.arange(length, dtype=np.float32)
    address = data.ctypes.data
    pointer = ctypes.pointer(ctypes.c_float.from_address(address))
    np.testing.assert_array_equal(floats_at(pointer, ctypes.c_float * length), data)
    target = np.zeros(4 * length, np.uint8)
    ctypes.memmove(byte_pointer(target), address, 4 * length)
    assert target.tobytes() == data.tobytes()
