from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glm3edge.core import SamplingParams, Span
from glm3edge.errors import ModelLoadError
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.context import Context
from glm3edge.llama.model import Model
from glm3edge_convert import convert, convert_lora
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.synth.random_checkpoint import SHAPES, Shape, make_checkpoint
from tests.support.llama_cpp_files import adapter_as_llama_cpp_writes, as_llama_cpp_writes
from tests.support.lora_adapters import layer_modules, make_adapter

pytestmark = pytest.mark.slow

GREEDY = SamplingParams(temperature=0, repetition_penalty=1)
PROMPT = [10, 20, 30, 40, 50, 60]


@pytest.fixture(scope="module")
def adapter_files(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    paths = []
    for seed in range(2):
        name = f"adapter-{seed}"
        modules = layer_modules(SHAPES["tiny"].num_layers)
        adapter = make_adapter(folder / name, tiny_checkpoint, modules, seed=seed)
        paths.append(folder / f"{name}.gguf")
        convert_lora(adapter.folder, paths[-1])
    return paths


@pytest.fixture(scope="module")
def model(tiny_gguf: Path) -> Iterator[Model]:
    with Model(tiny_gguf) as model:
        yield model


def open_context(model: Model, *adapters: Adapter) -> Context:
    return Context(
        model,
        context_size=256,
        batch_size=32,
        num_sequences=4,
        num_threads=1,
        adapters=adapters,
    )


def step(context: Context, sequence_id: int, said: list[int], adapter: int) -> None:
    """Compute what is new of PROMPT and ``said``, and say one token more."""
    new = said[-1:] or PROMPT
    start = len(PROMPT) + len(said) - len(new) if said else 0
    (index,) = context.decode([Span(sequence_id, start, new, wants_output=True)], adapter=adapter)
    sampler = context.new_sampler(GREEDY, PROMPT)
    said.append(context.sample(sampler, index))
    sampler.close()


def alone(model: Model, *adapters: Adapter, adapter: int = 0) -> list[int]:
    said: list[int] = []
    with open_context(model, *adapters) as context:
        for _ in range(16):
            step(context, 0, said, adapter)
    return said


def test_sequences_of_several_adapters_in_turn(model: Model, adapter_files: list[Path]) -> None:
    adapters = [Adapter(model, path) for path in adapter_files]
    expected = [alone(model, *adapters, adapter=number) for number in range(3)]
    assert expected[0] == alone(model)
    assert len({tuple(said) for said in expected}) == 3
    found: list[list[int]] = [[], [], []]
    with open_context(model, *adapters) as context:
        for _ in range(16):
            for number in (2, 0, 1):
                step(context, number, found[number], number)
    assert found == expected


def test_scales(model: Model, adapter_files: list[Path]) -> None:
    said = {
        scale: tuple(alone(model, Adapter(model, adapter_files[0], scale=scale), adapter=1))
        for scale in (0.0, 1.0, -1.0)
    }
    assert said[0.0] == tuple(alone(model))
    assert len(set(said.values())) == 3


def test_vectors_are_the_models_after_an_adapter(model: Model, adapter_files: list[Path]) -> None:
    span = Span(0, 0, PROMPT, wants_output=True)
    with open_context(model) as context:
        context.decode([span], hidden_states=True)
        expected = context.hidden_states(0, len(PROMPT))
    with open_context(model, Adapter(model, adapter_files[0])) as context:
        context.decode([Span(1, 0, PROMPT, wants_output=True)], adapter=1)
        context.decode([span], hidden_states=True)
        assert (context.hidden_states(0, len(PROMPT)) == expected).all()


def test_states_have_keys_by_adapter_and_scale(model: Model, adapter_files: list[Path]) -> None:
    one, other = adapter_files
    adapters = [Adapter(model, one), Adapter(model, other), Adapter(model, one, scale=0.5)]
    with open_context(model, *adapters) as context, open_context(model) as plain:
        keys = context.state_keys
        assert len(set(keys)) == 4
        assert plain.state_keys == keys[:1]
    with open_context(model, Adapter(model, other)) as context:
        assert context.state_keys == [keys[0], keys[2]]


def test_files_that_are_no_adapters(
    model: Model, adapter_files: list[Path], tiny_gguf: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.gguf"
    text.write_text("hello")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(adapter_files[0].read_bytes()[:-100])
    for path, reason in (
        (text, "it is not a GGUF file"),
        (tmp_path / "none.gguf", "No such file"),
        (cut, "it is cut off"),
        (tiny_gguf, "it is not an adapter; serve it as the model"),
    ):
        with pytest.raises(ModelLoadError, match=reason) as caught:
            Adapter(model, path)
        assert "\n" not in str(caught.value)


def test_an_adapter_of_a_wider_model(model: Model, tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "wide", shape=Shape(320, 1, 4, 2, 80, 640, 64))
    folder = make_adapter(tmp_path / "adapter", tmp_path / "wide", layer_modules(1)).folder
    convert_lora(folder, tmp_path / "adapter.gguf")
    with pytest.raises(ModelLoadError, match=r"incorrect shape \(hint: maybe wrong base model"):
        Adapter(model, tmp_path / "adapter.gguf")


@pytest.fixture
def their_model(tiny_gguf: Path, tmp_path: Path) -> Iterator[Model]:
    """The model in a file of llama.cpp's own converter, which does not pad."""
    with Model(as_llama_cpp_writes(tiny_gguf, tmp_path / "theirs.gguf")) as model:
        yield model


def test_adapters_fit_files_that_are_padded_or_not(
    model: Model, their_model: Model, adapter_files: list[Path], tmp_path: Path
) -> None:
    """Either converter's adapters with either's files: they were "of a wrong base model"."""
    ours, theirs = adapter_files[0], tmp_path / "lora.gguf"
    adapter_as_llama_cpp_writes(ours, theirs)
    assert model.feed_forward_length > their_model.feed_forward_length
    found = [logits(base, path) for base in (model, their_model) for path in (ours, theirs)]
    assert not np.array_equal(found[0], logits(model))
    for values in found[1:]:
        np.testing.assert_array_equal(values, found[0])


def test_copies_that_fit_have_the_key_of_their_file(
    their_model: Model, adapter_files: list[Path], model: Model
) -> None:
    expected = Adapter(model, adapter_files[0]).fingerprint
    assert Adapter(their_model, adapter_files[0]).fingerprint == expected


def test_no_room_for_a_copy_that_fits(
    model: Model,
    their_model: Model,
    adapter_files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(ModelLoadError, match="a copy that fits the model cannot be written"):
        Adapter(their_model, adapter_files[0])
    Adapter(model, adapter_files[0])  # which needs none


def logits(model: Model, *adapters: Path) -> NDArray[np.float32]:
    """Of what comes after PROMPT."""
    loaded = [Adapter(model, path) for path in adapters]
    with open_context(model, *loaded) as context:
        (index,) = context.decode([Span(0, 0, PROMPT, wants_output=True)], adapter=len(loaded))
        return context.logits(index, 1)


def test_an_adapter_of_a_deeper_model(model: Model, tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "deep", shape=Shape(256, 5, 4, 2, 64, 640, 64))
    folder = make_adapter(tmp_path / "adapter", tmp_path / "deep", layer_modules(5)).folder
    convert_lora(folder, tmp_path / "adapter.gguf")
    with pytest.raises(ModelLoadError, match="does not exist in base model"):
        Adapter(model, tmp_path / "adapter.gguf")


def test_a_model_merged_beforehand_says_the_same(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "base", shape=SHAPES["tiny"], dtype="float32")
    folder = make_adapter(tmp_path / "adapter", tmp_path / "base", layer_modules(4)).folder
    convert_lora(folder, tmp_path / "adapter.gguf")
    convert(tmp_path / "base", tmp_path / "base.gguf", quant_type="f32")
    adapters = [ScaledPath(folder, 0.7)]
    convert(tmp_path / "base", tmp_path / "merged.gguf", quant_type="f32", adapters=adapters)
    with Model(tmp_path / "base.gguf") as base, Model(tmp_path / "merged.gguf") as merged:
        adapted = alone(base, Adapter(base, tmp_path / "adapter.gguf", scale=0.7), adapter=1)
        assert adapted == alone(merged) != alone(base)
