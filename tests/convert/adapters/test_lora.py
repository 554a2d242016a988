"""A converted adapter, applied by llama.cpp, agrees with NumPy on merged weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file

from glm3edge_convert import convert, convert_lora, errors
from tests.support import llama, reference
from tests.support.checkpoints import SMALL, MakeCheckpoint, edit_json, truncate
from tests.support.lora_adapters import (
    EMBEDDING,
    LAYER_MODULES,
    OUTPUT,
    add_tensors,
    layer_modules,
    make_adapter,
    merged,
)

pytestmark = pytest.mark.slow

SHAPE = replace(SMALL, hidden_size=128, kv_channels=32, ffn_hidden_size=333, num_layers=3)
LAYERS = layer_modules(SHAPE.num_layers)
TOKENS = np.random.default_rng(0).integers(1000, size=48).tolist()
TOLERANCE = {"f32": 2e-3, "f16": 5e-2}  # with f16 llama.cpp rounds the inputs too
EFFECT = 0.5  # what the adapter changes of logits that have a standard deviation of 2, at least

CASES: dict[str, dict[str, Any]] = {
    "query_key_value": {"modules": layer_modules(3, LAYER_MODULES[:1])},
    "all of every layer": {"modules": LAYERS},
    "one layer": {"modules": LAYERS[:4]},
    "gate and up": {"modules": layer_modules(3, ["mlp.dense_h_to_4h"])},
    "down": {"modules": layer_modules(3, ["mlp.dense_4h_to_h"])},
    "output": {"modules": [OUTPUT]},
    "embedding": {"modules": [EMBEDDING], "std": 0.3},
    "everything": {"modules": [*LAYERS, OUTPUT, EMBEDDING]},
    "f16": {"modules": [*LAYERS, OUTPUT, EMBEDDING], "type": "f16"},
    "float16 weights": {"modules": LAYERS, "dtype": "float16"},
    "rank 1": {"modules": LAYERS, "ranks": [1]},
    "rslora": {"modules": LAYERS, "use_rslora": True, "std": 0.01},
    "ranks of their own": {"modules": LAYERS, "ranks": [8, 2, 5]},
    "alphas of their own": {"modules": LAYERS, "alphas": [16, 7, 16]},
    "both, rslora": {"modules": LAYERS, "ranks": [4, 7], "alphas": [8, 3, 5], "use_rslora": True},
}


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_merged_weights(
    case: str, make: MakeCheckpoint, tmp_path: Path
) -> None:
    options = dict(CASES[case])
    type_name = options.pop("type", "f32")
    checkpoint = make(SHAPE, dtype="float32")
    adapter = make_adapter(tmp_path / "adapter", checkpoint, options.pop("modules"), **options)
    convert(checkpoint, tmp_path / "model.gguf", quant_type="f32", threads=1)
    convert_lora(adapter.folder, tmp_path / "adapter.gguf", quant_type=type_name)
    expected = reference.Model(merged(checkpoint, tmp_path / "merged", [(adapter, 1)])).logits(
        TOKENS
    )
    with llama.Model(tmp_path / "model.gguf") as model:
        base = model.logits(TOKENS)
        found = model.logits(TOKENS, lora=tmp_path / "adapter.gguf")
    assert np.abs(expected - base).max() > EFFECT
    assert np.abs(found - expected).max() < TOLERANCE[type_name]


def test_half_the_scale(make: MakeCheckpoint, tmp_path: Path) -> None:
    checkpoint = make(SHAPE, dtype="float32")
    adapter = make_adapter(tmp_path / "adapter", checkpoint, LAYERS)
    convert(checkpoint, tmp_path / "model.gguf", quant_type="f32", threads=1)
    convert_lora(adapter.folder, tmp_path / "adapter.gguf")
    half = merged(checkpoint, tmp_path / "merged", [(adapter, 0.5)])
    expected = reference.Model(half).logits(TOKENS)
    with llama.Model(tmp_path / "model.gguf") as model:
        found = model.logits(TOKENS, lora=tmp_path / "adapter.gguf", scale=0.5)
    assert np.abs(found - expected).max() < TOLERANCE["f32"]


def test_what_is_written(small_checkpoint: Path, tmp_path: Path) -> None:
    make_adapter(tmp_path / "poet", small_checkpoint, layer_modules(2), ranks=[4])
    summary = convert_lora(tmp_path / "poet", tmp_path / "poet.gguf", quant_type="F16")
    reader = GGUFReader(tmp_path / "poet.gguf")
    fields = {name: reader.fields[name].contents() for name in reader.fields}
    assert fields["general.architecture"] == "chatglm"
    assert fields["general.type"] == "adapter"
    assert fields["general.name"] == "poet"
    assert fields["adapter.type"] == "lora"
    assert fields["adapter.lora.alpha"] == 16
    shapes = {tensor.name: tuple(tensor.shape.tolist()) for tensor in reader.tensors}
    assert len(shapes) == 16
    assert shapes["blk.1.ffn_up.weight.lora_a"] == (64, 4)
    assert shapes["blk.1.ffn_up.weight.lora_b"] == (4, 512)  # 96 rows and 160 zeros, twice
    assert shapes["blk.1.ffn_down.weight.lora_a"] == (256, 4)
    assert (summary.num_modules, summary.ranks) == (8, (4,))
    assert summary.num_bytes == (tmp_path / "poet.gguf").stat().st_size


def test_bin_weights_are_the_same(small_checkpoint: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is an extra")
    make_adapter(tmp_path / "adapter", small_checkpoint, layer_modules(2))
    convert_lora(tmp_path / "adapter", tmp_path / "first.gguf")
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = {name: torch.from_numpy(values) for name, values in load_file(weights).items()}
    torch.save(tensors, weights.with_suffix(".bin"))
    weights.unlink()
    convert_lora(tmp_path / "adapter", tmp_path / "second.gguf")
    assert (tmp_path / "first.gguf").read_bytes() == (tmp_path / "second.gguf").read_bytes()


FIRST = "base_model.model.transformer.encoder.layers.0.self_attention.query_key_value"
UP = "base_model.model.transformer.encoder.layers.1.mlp.dense_h_to_4h"
Edit = Callable[[dict[str, Any]], object]


def _rename(old: str, new: str) -> Edit:
    return lambda tensors: tensors.update({new: tensors.pop(old)})


def _cut(name: str, *index: slice) -> Edit:
    return lambda tensors: tensors.update({name: tensors[name][index].copy()})


DAMAGED: dict[str, tuple[Edit, str]] = {
    "no lora_B": (lambda tensors: tensors.pop(f"{FIRST}.lora_B.weight"), "has no lora_B beside it"),
    "no lora_A": (lambda tensors: tensors.pop(f"{FIRST}.lora_A.weight"), "has no lora_A beside it"),
    "no LoRA tensor": (
        _rename(f"{FIRST}.lora_B.weight", f"{FIRST}.weight"),
        "query_key_value.weight is not a LoRA matrix",
    ),
    "not of a model": (
        _rename(f"{FIRST}.lora_B.weight", "encoder.lora_B.weight"),
        "encoder.lora_B.weight does not begin with base_model.model.",
    ),
    "an embedding where none is": (
        lambda tensors: (
            _rename(f"{FIRST}.lora_A.weight", f"{FIRST}.lora_embedding_A")(tensors),
            _rename(f"{FIRST}.lora_B.weight", f"{FIRST}.lora_embedding_B")(tensors),
        ),
        "is of the wrong kind for its module",
    ),
    "another rank": (_cut(f"{FIRST}.lora_A.weight", slice(4)), "has rank 4 where .* says 8"),
    "another rank in B": (
        _cut(f"{FIRST}.lora_B.weight", slice(None), slice(4)),
        "lora_B.weight has rank 4 where .* says 8",
    ),
    "another width": (
        _cut(f"{UP}.lora_A.weight", slice(None), slice(32)),
        "dense_h_to_4h.lora_A.weight has 32 values for the hidden size, which is 64 elsewhere",
    ),
    "another feed-forward width": (
        _cut(f"{UP}.lora_B.weight", slice(100)),
        "has 100 values for the feed-forward size, which is 192 elsewhere",
    ),
    "an odd number of gate and up rows": (_cut(f"{UP}.lora_B.weight", slice(191)), "has 191"),
    "no matrix": (
        lambda tensors: tensors.update({f"{FIRST}.lora_A.weight": np.zeros(8, np.float32)}),
        "is not a matrix",
    ),
    "not finite": (
        lambda tensors: tensors[f"{FIRST}.lora_A.weight"].fill(np.nan),
        "are not finite",
    ),
    "integers": (
        lambda tensors: tensors.update(
            {f"{FIRST}.lora_A.weight": tensors[f"{FIRST}.lora_A.weight"].astype(np.int32)}
        ),
        "is stored as I32",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_weights(case: str, small_checkpoint: Path, tmp_path: Path) -> None:
    edit, problem = DAMAGED[case]
    make_adapter(tmp_path / "adapter", small_checkpoint, layer_modules(2))
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)
    _assert_refused(tmp_path, errors.CheckpointError, problem)


def test_another_models_module(small_checkpoint: Path, tmp_path: Path) -> None:
    make_adapter(tmp_path / "adapter", small_checkpoint, layer_modules(1, LAYER_MODULES[:1]))
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = {
        name.replace("query_key_value", "q_proj"): values
        for name, values in load_file(path).items()
    }
    save_file(tensors, path)
    _assert_refused(tmp_path, errors.AdapterTensorError, "a module that ChatGLM3 does not have")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("transformer.embedding.word_embeddings.weight", "convert the model with --merge-lora"),
        ("classifier_head.weight", "is a head for classification"),
    ],
)
def test_whole_tensors(name: str, problem: str, small_checkpoint: Path, tmp_path: Path) -> None:
    """As PEFT saves the embedding beside an adapter."""
    make_adapter(tmp_path / "adapter", small_checkpoint, layer_modules(1))
    add_tensors(tmp_path / "adapter", {f"base_model.model.{name}": np.zeros((3, 64), np.float32)})
    _assert_refused(tmp_path, errors.AdapterTensorError, problem)


CONFIGS: dict[str, tuple[dict[str, Any], type[errors.ConvertError], str]] = {
    "r = 0": ({"r": 0}, errors.ConfigError, "r is 0 and must be a positive whole number"),
    "no r": ({"r": ...}, errors.ConfigError, "r is None"),
    "alpha 0": ({"lora_alpha": 0}, errors.ConfigError, "lora_alpha is 0 and must be a positive"),
    "a text": ({"lora_alpha": "16"}, errors.ConfigError, "lora_alpha is '16'"),
    "no patterns": ({"rank_pattern": [8]}, errors.ConfigError, "rank_pattern must map"),
    "bad pattern": ({"alpha_pattern": {"(": 8}}, errors.ConfigError, "alpha_pattern has a pattern"),
    "rank 0 in a pattern": ({"rank_pattern": {"dense": 0}}, errors.ConfigError, "r is 0"),
    "prefix tuning": (
        {"peft_type": "PREFIX_TUNING"},
        errors.UnsupportedAdapterError,
        "peft_type is 'PREFIX_TUNING'.*train LoRA, or ChatGLM3's own P-Tuning v2",
    ),
    "IA3": ({"peft_type": "IA3"}, errors.UnsupportedAdapterError, "'IA3'.*merge_and_unload"),
    "a classifier": (
        {"modules_to_save": ["classifier", "score"], "task_type": "SEQ_CLS"},
        errors.UnsupportedAdapterError,
        "it classifies or rewards.*give an adapter that generates text",
    ),
    "no type": ({"peft_type": ...}, errors.UnsupportedAdapterError, "peft_type is None"),
    "DoRA": ({"use_dora": True}, errors.UnsupportedAdapterError, "use_dora is True: DoRA"),
    "bias": ({"bias": "lora_only"}, errors.UnsupportedAdapterError, "bias is 'lora_only'"),
    "lora_bias": ({"lora_bias": True}, errors.UnsupportedAdapterError, "lora_bias is True"),
    "whole modules": (
        {"modules_to_save": ["output_layer"]},
        errors.UnsupportedAdapterError,
        r"modules_to_save is \['output_layer'\].*--merge-lora",
    ),
    "PiSSA": (
        {"init_lora_weights": "pissa_niter_4"},
        errors.UnsupportedAdapterError,
        "init_lora_weights is 'pissa_niter_4'.*merge_and_unload",
    ),
    "odd init": ({"init_lora_weights": [1]}, errors.UnsupportedAdapterError, "init_lora_weights"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations_that_are_refused(case: str, small_checkpoint: Path, tmp_path: Path) -> None:
    changes, error, problem = CONFIGS[case]
    make_adapter(tmp_path / "adapter", small_checkpoint, layer_modules(2))
    edit_json(tmp_path / "adapter" / "adapter_config.json", **changes)
    _assert_refused(tmp_path, error, problem)


FOLDERS: dict[str, tuple[Callable[[Path], object], type[errors.ConvertError], str]] = {
    "no weights": (
        lambda folder: (folder / "adapter_model.safetensors").unlink(),
        errors.NotAnAdapterError,
        "it has no adapter_model.safetensors or adapter_model.bin",
    ),
    "no configuration": (
        lambda folder: (folder / "adapter_config.json").unlink(),
        errors.NotAnAdapterError,
        "adapter_config.json is missing",
    ),
    "cut short": (
        lambda folder: truncate(folder / "adapter_model.safetensors"),
        errors.DamagedFileError,
        "is truncated",
    ),
    "no tensors": (
        lambda folder: save_file({}, folder / "adapter_model.safetensors"),
        errors.NotAnAdapterError,
        "its weights are empty",
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_damaged_folders(case: str, small_checkpoint: Path, tmp_path: Path) -> None:
    damage, error, problem = FOLDERS[case]
    make_adapter(tmp_path / "adapter", small_checkpoint, layer_modules(2))
    damage(tmp_path / "adapter")
    _assert_refused(tmp_path, error, problem)


def test_no_folder(tmp_path: Path) -> None:
    _assert_refused(tmp_path, errors.NotAnAdapterError, "the folder does not exist")


def test_types_and_names(small_checkpoint: Path, tmp_path: Path) -> None:
    make_adapter(tmp_path / "adapter", small_checkpoint, layer_modules(2))
    with pytest.raises(errors.UnknownTypeError, match="choose one of f32, f16"):
        convert_lora(tmp_path / "adapter", tmp_path / "adapter.gguf", quant_type="q8_0")
    (tmp_path / "adapter.gguf").write_bytes(b"mine")
    with pytest.raises(errors.OutputExistsError):
        convert_lora(tmp_path / "adapter", tmp_path / "adapter.gguf")
    assert (tmp_path / "adapter.gguf").read_bytes() == b"mine"
    convert_lora(tmp_path / "adapter", tmp_path / "adapter.gguf", overwrite=True)
    assert (tmp_path / "adapter.gguf").read_bytes()[:4] == b"GGUF"


@pytest.mark.parametrize("with_model", [True, False])
def test_prefixes_are_refused(checkpoint: Path, with_model: bool, tmp_path: Path) -> None:
    """P-Tuning v2 saves the prefix alone or with the model."""
    name = "transformer.prefix_encoder.embedding.weight"
    tensors = {name: np.zeros((8, 256), np.float32)}
    for path in checkpoint.glob("*.safetensors"):
        tensors |= load_file(path) if with_model else {}
        path.unlink()
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(errors.UnsupportedPrefixError, match="P-Tuning v2 prefix") as caught:
        convert(checkpoint, tmp_path / "model.gguf")
    assert caught.value.tensor == name


def _assert_refused(folder: Path, error: type[errors.ConvertError], problem: str) -> None:
    """The adapter in ``folder`` cannot be converted, and leaves nothing there."""
    with pytest.raises(error, match=problem) as caught:
        convert_lora(folder / "adapter", folder / "adapter.gguf")
    assert "\n" not in str(caught.value)
    assert not [path for path in folder.iterdir() if "gguf" in path.name]
