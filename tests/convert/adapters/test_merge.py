"""Adapters merged while converting give the bytes of a checkpoint that was merged beforehand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from glm3edge_convert import convert, convert_lora, errors
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.quantize import quantizer
from tests.support.checkpoints import edit_json
from tests.support.converter import run_convert
from tests.support.lora_adapters import (
    EMBEDDING,
    LAYER_MODULES,
    OUTPUT,
    Adapter,
    add_tensors,
    layer_modules,
    make_adapter,
    merged,
)
from tests.support.reference import load_weights

pytestmark = pytest.mark.slow

LAYER = "transformer.encoder.layers.0.self_attention.query_key_value"
MODULES = [*layer_modules(2), OUTPUT, EMBEDDING]


@pytest.fixture
def adapter(small_checkpoint: Path, tmp_path: Path) -> Adapter:
    return make_adapter(tmp_path / "adapter", small_checkpoint, MODULES, ranks=[8, 3])


@pytest.mark.parametrize("type_name", ["f32", "f16", "q8_0", "q4_k_m"])
@pytest.mark.parametrize("scale", [1, -0.37])
def test_bytes_are_those_of_a_merged_checkpoint(
    type_name: str, scale: float, checkpoint: Path, adapter: Adapter, tmp_path: Path
) -> None:
    before = tmp_path / "before" / checkpoint.name  # the name is part of the file
    merged(checkpoint, before, [(adapter, scale)])
    convert(before, tmp_path / "expected.gguf", quant_type=type_name, threads=1)
    summary = convert(
        checkpoint,
        tmp_path / "found.gguf",
        quant_type=type_name,
        threads=2,
        adapters=[ScaledPath(adapter.folder, scale)],
    )
    assert (tmp_path / "found.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()
    sizes = [path.stat().st_size for path in checkpoint.glob("*.safetensors")]
    assert summary.num_bytes_source == sum(sizes)


def test_slabs_do_not_show(
    checkpoint: Path, adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for slab_values in (64, 64 * 7, 2**21):
        monkeypatch.setattr(quantizer, "SLAB_VALUES", slab_values)
        files.append(tmp_path / f"{slab_values}.gguf")
        convert(checkpoint, files[-1], quant_type="f32", adapters=[ScaledPath(adapter.folder)])
    assert len({path.read_bytes() for path in files}) == 1


def test_several_adapters(checkpoint: Path, adapter: Adapter, tmp_path: Path) -> None:
    second = make_adapter(tmp_path / "second", checkpoint, MODULES[::2], seed=1, dtype="float16")
    first_only = merged(checkpoint, tmp_path / "first", [(adapter, 1)])
    before = merged(first_only, tmp_path / "before" / checkpoint.name, [(second, 0.5)])
    convert(before, tmp_path / "expected.gguf", quant_type="f32")
    adapters = [ScaledPath(adapter.folder), ScaledPath(second.folder, 0.5)]
    convert(checkpoint, tmp_path / "found.gguf", quant_type="f32", adapters=adapters)
    assert (tmp_path / "found.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()


def test_dora(checkpoint: Path, tmp_path: Path) -> None:
    """Rows of merged weights are as long as the magnitudes say."""
    dora = make_adapter(tmp_path / "dora", checkpoint, layer_modules(2), use_dora=True)
    weights, magnitudes = load_weights(checkpoint), {}
    for module, change in dora.changes.items():
        whole = weights[f"{module}.weight"] + change
        wanted = np.random.default_rng(0).uniform(1, 2, len(whole)).astype(np.float32)
        lengths = np.linalg.norm(whole, axis=1, keepdims=True)
        merged_weight = whole / lengths * wanted[:, None]
        dora.changes[module] = merged_weight - weights[f"{module}.weight"]
        magnitudes[f"base_model.model.{module}.lora_magnitude_vector"] = wanted
    add_tensors(dora.folder, magnitudes)
    before = merged(checkpoint, tmp_path / "before" / checkpoint.name, [(dora, 1)])
    convert(before, tmp_path / "expected.gguf", quant_type="f32")
    adapters = [ScaledPath(dora.folder)]
    convert(checkpoint, tmp_path / "found.gguf", quant_type="f32", adapters=adapters)
    found, expected = (
        np.fromfile(tmp_path / name, np.uint8) for name in ("found.gguf", "expected.gguf")
    )
    assert found.shape == expected.shape
    assert (found != expected).mean() < 1e-4  # a last bit here and there: sums in another order
    with pytest.raises(errors.ScaleError, match=r"0\.5 has no meaning: the adapter is DoRA"):
        convert(checkpoint, tmp_path / "x.gguf", adapters=[ScaledPath(dora.folder, 0.5)])
    _assert_refused_beside(dora.folder, "use_dora is True")


def test_whole_tensors_and_biases(checkpoint: Path, tmp_path: Path) -> None:
    """PEFT saves them with the names of its wrappers or without."""
    module = LAYER
    norm = "transformer.encoder.final_layernorm"
    options: dict[str, Any] = {
        "bias": "lora_only",
        "modules_to_save": ["output_layer", "final_layernorm"],
    }
    adapter = make_adapter(tmp_path / "adapter", checkpoint, [module], **options)
    saved_as = {
        f"{module}.bias": f"base_model.model.{module}.base_layer.bias",
        f"{OUTPUT}.weight": f"base_model.model.{OUTPUT}.weight",
        f"{norm}.weight": f"base_model.model.{norm}.modules_to_save.default.weight",
    }
    weights = load_weights(checkpoint)
    replaced = {name: (2 * weights[name]).astype(np.float32) for name in saved_as}
    add_tensors(adapter.folder, {saved_as[name]: values for name, values in replaced.items()})
    before = merged(checkpoint, tmp_path / "before" / checkpoint.name, [(adapter, 1)])
    for path in before.glob("*.safetensors"):
        held = load_file(path)
        save_file(held | {name: replaced[name] for name in held.keys() & replaced.keys()}, path)
    convert(before, tmp_path / "expected.gguf", quant_type="f32")
    convert(
        checkpoint, tmp_path / "found.gguf", quant_type="f32", adapters=[ScaledPath(adapter.folder)]
    )
    assert (tmp_path / "found.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()
    with pytest.raises(errors.ScaleError, match="replaces whole tensors"):
        convert(checkpoint, tmp_path / "x.gguf", adapters=[ScaledPath(adapter.folder, 2)])
    _assert_refused_beside(adapter.folder, "modules_to_save is")
    edit_json(adapter.folder / "adapter_config.json", modules_to_save=None)
    _assert_refused_beside(adapter.folder, "bias is 'lora_only'")


WRONG: dict[str, tuple[dict[str, Any], str, tuple[int, ...], str]] = {
    "an unknown tensor": ({}, "lm_head.weight", (4, 4), "the model does not have: lm_head.weight"),
    "another shape": ({}, f"{OUTPUT}.weight", (4, 4), "changes 4 x 4 weights, and .* 1664 x 64"),
    "magnitudes without DoRA": (
        {},
        f"{LAYER}.lora_magnitude_vector.weight",
        (128,),
        "do not agree on whether this is DoRA",
    ),
    "too few magnitudes": (
        {"use_dora": True},
        f"{LAYER}.lora_magnitude_vector.weight",
        (7,),
        "must have 128 values, one for each row of lora_B",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_else_does_not_fit(case: str, checkpoint: Path, tmp_path: Path) -> None:
    options, name, shape, problem = WRONG[case]
    adapter = make_adapter(tmp_path / "adapter", checkpoint, [LAYER], **options)
    add_tensors(adapter.folder, {f"base_model.model.{name}": np.ones(shape, np.float32)})
    with pytest.raises(errors.AdapterTensorError, match=problem):
        convert(checkpoint, tmp_path / "x.gguf", adapters=[ScaledPath(adapter.folder)])


def test_dora_without_magnitudes_and_of_the_embedding(checkpoint: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", checkpoint, [EMBEDDING], use_dora=True)
    with pytest.raises(errors.AdapterTensorError, match="do not agree on whether this is DoRA"):
        convert(checkpoint, tmp_path / "x.gguf", adapters=[ScaledPath(adapter.folder)])
    name = f"base_model.model.{EMBEDDING}.lora_magnitude_vector.weight"
    add_tensors(adapter.folder, {name: np.ones(64, np.float32)})
    with pytest.raises(errors.UnsupportedAdapterError, match="the embedding's columns are scaled"):
        convert(checkpoint, tmp_path / "x.gguf", adapters=[ScaledPath(adapter.folder)])


def test_the_command(checkpoint: Path, adapter: Adapter, tmp_path: Path) -> None:
    convert(
        checkpoint,
        tmp_path / "expected.gguf",
        quant_type="f16",
        adapters=[ScaledPath(adapter.folder, 0.5)],
    )
    arguments = ("-o", tmp_path / "found.gguf", "-t", "f16", "--merge-lora")
    done = run_convert(checkpoint, *arguments, f"{adapter.folder}:0.5")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "found.gguf").read_bytes() == (tmp_path / "expected.gguf").read_bytes()
    refused = run_convert(checkpoint, *arguments, f"{tmp_path / 'none'}:2", "--overwrite")
    assert refused.returncode == 3
    assert refused.stderr.startswith(
        f"error: {tmp_path / 'none'} is not a LoRA adapter: the folder"
    )


def test_an_adapter_of_a_larger_model(checkpoint: Path, adapter: Adapter, tmp_path: Path) -> None:
    path = adapter.folder / "adapter_model.safetensors"
    tensors = {
        name: np.concatenate([values] * 2, axis=1) if "lora_A" in name else values
        for name, values in load_file(path).items()
    }
    save_file(tensors, path)
    with pytest.raises(errors.AdapterTensorError, match=r"changes .* weights, and .* has 64 x 96"):
        convert(checkpoint, tmp_path / "x.gguf", adapters=[ScaledPath(adapter.folder)])


def test_a_layer_too_many(checkpoint: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", checkpoint, layer_modules(2))
    path = adapter.folder / "adapter_model.safetensors"
    tensors = {
        name.replace("layers.1.", "layers.2."): values for name, values in load_file(path).items()
    }
    save_file(tensors, path)
    with pytest.raises(errors.AdapterTensorError, match=r"the model does not have: .*layers\.2\."):
        convert(checkpoint, tmp_path / "x.gguf", adapters=[ScaledPath(adapter.folder)])
    assert not list(tmp_path.glob("*.gguf"))


def test_merged_values_are_checked(checkpoint: Path, tmp_path: Path) -> None:
    modules = layer_modules(1, LAYER_MODULES[:1])
    make_adapter(tmp_path / "adapter", checkpoint, modules, std=1e7)
    with pytest.raises(errors.TensorValueError, match="too large for F16"):
        convert(
            checkpoint,
            tmp_path / "x.gguf",
            quant_type="f16",
            adapters=[ScaledPath(tmp_path / "adapter")],
        )


def test_encoders_take_no_adapters(checkpoint: Path, adapter: Adapter, tmp_path: Path) -> None:
    (checkpoint / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(errors.UnsupportedArchitectureError, match="merged into ChatGLM3 only"):
        convert(checkpoint, tmp_path / "x.gguf", adapters=[ScaledPath(adapter.folder)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("folder", ScaledPath(Path("folder"))),
        ("folder:0.5", ScaledPath(Path("folder"), 0.5)),
        ("folder:-1e-1", ScaledPath(Path("folder"), -0.1)),
        ("C:\\folder", ScaledPath(Path("C:\\folder"))),
        ("a:2:3", ScaledPath(Path("a:2"), 3)),
        (":2", ScaledPath(Path(":2"))),
        ("folder:", ScaledPath(Path("folder:"))),
    ],
)
def test_scales(text: str, expected: ScaledPath) -> None:
    assert ScaledPath.parse(text) == expected


def test_a_path_that_looks_like_a_scale(tmp_path: Path) -> None:
    (tmp_path / "v:2").mkdir()
    assert ScaledPath.parse(f"{tmp_path}/v:2") == ScaledPath(tmp_path / "v:2")
    with pytest.raises(errors.ScaleError, match="the scale inf is not finite"):
        ScaledPath.parse("folder:inf")


def _assert_refused_beside(folder: Path, problem: str) -> None:
    """What can be merged can be more than a GGUF adapter can hold."""
    with pytest.raises(errors.UnsupportedAdapterError, match=f"{problem}.*--merge-lora"):
        convert_lora(folder, folder / "adapter.gguf")
