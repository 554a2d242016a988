"""P-Tuning v2 prefixes in llama.cpp's KV cache, against NumPy and against each other."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
import pytest
from numpy.typing import NDArray

from glm3edge.core import SamplingParams, Span
from glm3edge.errors import ModelError, ModelLoadError
from glm3edge.llama import prefixed_sequences
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.context import Context
from glm3edge.llama.kv_state import read_state, unpack
from glm3edge.llama.model import Model
from glm3edge.llama.prefix import Prefix
from glm3edge_convert import convert, convert_lora, convert_prefix
from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint
from tests.support import reference
from tests.support.checkpoints import edit_json
from tests.support.lora_adapters import layer_modules, make_adapter
from tests.support.prefixes import make_prefix

pytestmark = pytest.mark.slow

SHAPE = Shape(128, 3, 4, 2, 32, 192, 512)
LENGTHS = {"short": 1, "long": 70}  # the second is more than a batch takes
PROMPT = list(range(100, 132))
TOLERANCE = 0.02  # keys and values are f16
EFFECT = 0.5  # what a prefix changes of the logits, at least
CONTEXT_SIZE = 256
GREEDY = SamplingParams(temperature=0, repetition_penalty=1)
Logits = NDArray[np.floating[Any]]


@pytest.fixture(scope="module", params=[1.0, 50.0], ids=["base", "32k"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in float32 and its prefixes; the second rotates more slowly."""
    folder = tmp_path_factory.mktemp("prefixes")
    make_checkpoint(folder / "model", shape=SHAPE, dtype="float32")
    edit_json(folder / "model" / "config.json", rope_ratio=request.param)
    convert(folder / "model", folder / "model.gguf", quant_type="f32")
    for seed, (name, length) in enumerate(LENGTHS.items()):
        prefix = make_prefix(folder / name, folder / "model", num_places=length, seed=seed)
        convert_prefix(prefix.folder, folder / f"{name}.gguf")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[Model]:
    with Model(folder / "model.gguf") as model:
        yield model


@pytest.fixture
def context(model: Model, folder: Path) -> Iterator[Context]:
    """With "short" as adapter 1 and "long" as adapter 2."""
    with open_context(model, *(Prefix(model, folder / f"{name}.gguf") for name in LENGTHS)) as ctx:
        yield ctx


def open_context(
    model: Model, *adapters: Adapter | Prefix, context_size: int = CONTEXT_SIZE
) -> Context:
    return Context(
        model,
        context_size=context_size,
        batch_size=64,
        num_sequences=5,
        num_threads=1,
        adapters=adapters,
    )


def logits(
    context: Context, sequence_id: int, token_ids: list[int], adapter: int, start: int = 0
) -> Logits:
    """The logits after the last of ``token_ids``, which stand at ``start``."""
    span = Span(sequence_id, start, token_ids, wants_output=True)
    (index,) = context.decode([span], adapter=adapter)
    return np.array(context._logits(index))


def expected_logits(folder: Path, name: str | None, token_ids: list[int]) -> Logits:
    """Of every token, by the reference."""
    if name is None:
        return reference.Model(folder / "model").logits(token_ids)
    length, seed = LENGTHS[name], list(LENGTHS).index(name)
    again = folder / f"again-{name}-{len(list(folder.iterdir()))}"
    states = make_prefix(again, folder / "model", num_places=length, seed=seed).states
    return reference.Model(folder / "model").logits(token_ids, states)


def test_logits_are_the_references(context: Context, folder: Path) -> None:
    base = expected_logits(folder, None, PROMPT)
    for adapter, name in enumerate((None, *LENGTHS)):
        expected = expected_logits(folder, name, PROMPT)
        assert name is None or np.abs(expected - base).max() > EFFECT
        for sequence_id in (2 * adapter, 2 * adapter + 1)[: 2 if adapter < 2 else 1]:
            found = [logits(context, sequence_id, PROMPT[:20], adapter)]
            found += [
                logits(context, sequence_id, [token_id], adapter, start)
                for start, token_id in enumerate(PROMPT[20:], 20)
            ]
            assert np.abs(np.array(found) - expected[19:]).max() < TOLERANCE


@pytest.mark.parametrize(
    "case", [(0, 0, 2e-5), (0, 1, TOLERANCE), (1, 1, TOLERANCE)], ids=["f32", "f16", "flash"]
)
def test_every_layout_of_states(
    model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[int, int, float]
) -> None:
    """Without flash attention values are transposed; in f32 nothing is lost."""
    flash_attention, type_number, tolerance = case
    params = native.llama_context_default_params()
    params.flash_attn_type = flash_attention
    params.type_k = params.type_v = type_number
    monkeypatch.setattr(native, "llama_context_default_params", lambda: params)
    for name in LENGTHS:
        with open_context(model, Prefix(model, folder / f"{name}.gguf")) as context:
            state = unpack(
                read_state(context._handle, 5),
                num_layers=model.num_layers,
                width=model.key_value_length,
            )
            assert state.is_transposed == (not flash_attention)
            assert state.keys.dtype.itemsize == 4 - 2 * type_number
            found = [logits(context, 0, PROMPT[:20], 1), logits(context, 0, PROMPT[20:], 1, 20)]
        expected = expected_logits(folder, name, PROMPT)[[19, 31]]
        assert np.abs(np.array(found) - expected).max() < tolerance


def test_a_copy_begins_with_the_prefix_too(context: Context, folder: Path) -> None:
    logits(context, 0, PROMPT, adapter=2)
    context.copy(0, 1, 20)
    other = [*PROMPT[:20], 7, 8, 9]
    found = logits(context, 1, other[20:], adapter=2, start=20)
    assert np.abs(found - expected_logits(folder, "long", other)[-1]).max() < TOLERANCE
    context.truncate(0, 0)  # and does not need what it was copied from
    found = logits(context, 1, [10], adapter=2, start=23)
    assert np.abs(found - expected_logits(folder, "long", [*other, 10])[-1]).max() < TOLERANCE


@pytest.mark.parametrize("length", [0, 1, 20])
def test_what_is_cut_off_is_forgotten(context: Context, length: int) -> None:
    expected = logits(context, 0, PROMPT, adapter=2)
    context.decode([Span(1, 0, PROMPT[:length] + [5] * 9, wants_output=True)], adapter=2)
    context.truncate(1, length)
    found = logits(context, 1, PROMPT[length:], adapter=2, start=length)
    assert np.abs(found - expected).max() < TOLERANCE


def test_a_beginning_that_is_computed_again(context: Context) -> None:
    """As after a batch that failed."""
    expected = logits(context, 0, PROMPT, adapter=2)
    context.truncate(0, 0)
    context.decode([Span(0, 0, PROMPT[:9], wants_output=True)], adapter=2)
    native.llama_memory_seq_rm(context._memory, 0, LENGTHS["long"], -1)
    assert np.abs(logits(context, 0, PROMPT, adapter=2) - expected).max() < TOLERANCE


def test_a_sequence_changes_its_prefix(context: Context) -> None:
    """A slot is emptied and then somebody else's."""
    expected = [logits(context, adapter, PROMPT, adapter) for adapter in range(3)]
    for adapter in (2, 0, 1, 2, 1, 0):
        found = logits(context, 4, PROMPT, adapter)
        context.truncate(4, 0)
        assert np.abs(found - expected[adapter]).max() < TOLERANCE


@pytest.mark.parametrize("adapter", [0, 1, 2])
def test_states_are_without_prefixes(context: Context, model: Model, adapter: int) -> None:
    logits(context, 0, PROMPT, adapter)
    state = context.state(0)
    cells = struct.unpack_from("<4I", state)[3]
    assert cells == len(PROMPT)
    expected = logits(context, 0, [7], adapter, len(PROMPT))  # it goes on after it was saved
    assert context.restore(1, state, adapter=adapter)
    assert (logits(context, 1, [7], adapter, len(PROMPT)) == expected).all()
    context.copy(1, 2, 20)
    context.truncate(1, 0)
    assert np.abs(logits(context, 2, PROMPT[20:], adapter, 20)).max() > 0
    found = logits(context, 2, [7], adapter, len(PROMPT))
    assert np.abs(found - expected).max() < TOLERANCE


def test_a_damaged_state_is_not_taken(context: Context) -> None:
    expected = logits(context, 0, PROMPT, adapter=2)
    assert not context.restore(1, context.state(0)[:-40], adapter=2)
    assert np.abs(logits(context, 1, PROMPT, adapter=2) - expected).max() < TOLERANCE


def test_the_context_is_as_long_as_without(model: Model, folder: Path) -> None:
    """With every cell used, by one sequence and by several, computed and restored."""
    prefixes = [Prefix(model, folder / f"{name}.gguf") for name in LENGTHS]
    with open_context(model, *prefixes) as context:
        for _ in range(2):
            for start in range(0, CONTEXT_SIZE, 64):
                context.decode([Span(0, start, [9] * 64, wants_output=True)], adapter=2)
            state = context.state(0)
            context.truncate(0, 0)
            assert context.restore(1, state, adapter=2)
            context.truncate(1, 64)
            for sequence_id, adapter in ((2, 1), (3, 0), (4, 2)):
                span = Span(sequence_id, 0, [9] * 64, wants_output=True)
                context.decode([span], adapter=adapter)
            for sequence_id in range(5):
                context.truncate(sequence_id, 0)


def test_a_prefix_beside_lora(model: Model, folder: Path, tmp_path: Path) -> None:
    lora = make_adapter(tmp_path / "lora", folder / "model", layer_modules(SHAPE.num_layers))
    convert_lora(lora.folder, tmp_path / "lora.gguf")
    adapters: list[Adapter | Prefix] = [Adapter(model, tmp_path / "lora.gguf")]
    adapters.append(Prefix(model, folder / "long.gguf"))
    with open_context(model, adapters[0]) as context:
        adapted = logits(context, 0, PROMPT, adapter=1)
    with open_context(model, *adapters) as context:
        found = [logits(context, adapter, PROMPT, adapter) for adapter in (2, 1, 0)[::-1]]
        keys = context.state_keys
    assert np.abs(found[1] - adapted).max() < TOLERANCE
    assert np.abs(found[2] - expected_logits(folder, "long", PROMPT)[-1]).max() < TOLERANCE
    assert len(set(keys)) == 3


def test_vectors_are_the_models_own(context: Context, model: Model) -> None:
    span = Span(0, 0, PROMPT, wants_output=True)
    with open_context(model) as plain:
        plain.decode([span], hidden_states=True)
        expected = plain.hidden_states(0, len(PROMPT))
    logits(context, 1, PROMPT, adapter=2)
    context.decode([span], hidden_states=True)
    assert np.abs(context.hidden_states(0, len(PROMPT)) - expected).max() < TOLERANCE


def test_files_that_are_no_prefixes(model: Model, folder: Path, tmp_path: Path) -> None:
    text, cut = tmp_path / "text.gguf", tmp_path / "cut.gguf"
    text.write_text("hello")
    cut.write_bytes((folder / "long.gguf").read_bytes()[:-100])
    lora = make_adapter(tmp_path / "lora", folder / "model", layer_modules(1))
    convert_lora(lora.folder, tmp_path / "lora.gguf")
    for path, reason in (
        (text, "it is not a GGUF file"),
        (tmp_path / "none.gguf", "No such file"),
        (cut, "it is cut off"),
        (folder / "model.gguf", "it is not a P-Tuning v2 prefix; convert it with glm3edge"),
        (tmp_path / "lora.gguf", "it is not a P-Tuning v2 prefix; give it with --lora"),
    ):
        with pytest.raises(ModelLoadError, match=reason) as caught:
            Prefix(model, path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelLoadError, match="it is a P-Tuning v2 prefix"):
        Adapter(model, folder / "long.gguf")


def test_bytes_that_have_changed(model: Model, folder: Path, tmp_path: Path) -> None:
    """A damaged file is refused in one line, or is a file with other values."""
    rng = np.random.default_rng(0)
    good = (folder / "short.gguf").read_bytes()
    problems = []
    for number in range(300):
        bad = bytearray(good)
        bad[rng.integers(4, 900)] = rng.integers(256)
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(bad)
        try:
            Prefix(model, path)
        except ModelLoadError as exc:
            problems.append(str(exc))
    assert len(problems) > 50
    assert not [problem for problem in problems if "\n" in problem]


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (Shape(128, 4, 4, 2, 32, 192, 512), "it has 4 layers and the model 3"),
        (Shape(128, 3, 4, 4, 32, 192, 512), "where the model has"),
        (Shape(256, 3, 4, 2, 64, 192, 512), "where the model has"),
    ],
)
def test_another_models_prefix(model: Model, shape: Shape, reason: str, tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "model", shape=shape)
    prefix = make_prefix(tmp_path / "prefix", tmp_path / "model")
    convert_prefix(prefix.folder, tmp_path / "prefix.gguf")
    with pytest.raises(ModelLoadError, match=reason):
        Prefix(model, tmp_path / "prefix.gguf")


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "NaN"), (1e6, "f16 does not hold")])
def test_values_that_cannot_be_used(
    model: Model, folder: Path, value: float, reason: str, tmp_path: Path
) -> None:
    data = bytearray((folder / "short.gguf").read_bytes())
    data[-4:] = struct.pack("<f", value)
    (tmp_path / "bad.gguf").write_bytes(data)
    with pytest.raises(ModelLoadError, match=reason):
        Prefix(model, tmp_path / "bad.gguf")


def test_more_prefixes_than_there_is_room_for(model: Model, folder: Path) -> None:
    prefixes = [Prefix(model, folder / "short.gguf")] * 59
    with open_context(model, *prefixes) as context:
        expected = logits(context, 0, PROMPT, adapter=1)
        assert np.abs(logits(context, 1, PROMPT, adapter=59) - expected).max() < TOLERANCE
    with pytest.raises(ModelError, match="60 prefixes and 5 sequences are more than the 64 that"):
        open_context(model, *prefixes, prefixes[0])


def test_another_layout_of_states_is_refused(
    model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a later llama.cpp may have."""
    prefix = Prefix(model, folder / "short.gguf")
    with monkeypatch.context() as patch:
        patch.setattr(prefixed_sequences, "read_state", lambda *args: read_state(*args) + b"more")
        with pytest.raises(ModelError, match="in a way that prefixes cannot be put into"):
            open_context(model, prefix)
    with monkeypatch.context() as patch:
        patch.setattr(prefixed_sequences, "write_state", lambda *_: False)
        with pytest.raises(ModelError, match=r"did not take the prefix short\.gguf"):
            open_context(model, prefix)
