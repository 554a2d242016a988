"""P-Tuning v2 checkpoints become keys and values of each layer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file

from glm3edge_convert import convert_prefix, errors
from tests.support.checkpoints import edit_json, load_tensors, truncate
from tests.support.prefixes import EMBEDDING, ENCODER, Prefix, make_prefix

WEIGHTS = "model.safetensors"


def read(path: Path) -> dict[str, Any]:
    return {tensor.name: np.array(tensor.data) for tensor in GGUFReader(path).tensors}


def assert_holds(path: Path, prefix: Prefix, tolerance: float = 0) -> None:
    """The file has the keys and values of ``prefix``, and nothing else."""
    found = read(path)
    assert len(found) == 2 * len(prefix.states)
    for layer, states in enumerate(prefix.states):
        for kind, expected in zip("kv", states, strict=True):
            values = found[f"blk.{layer}.prefix_{kind}"]
            assert values.dtype == np.float32
            assert values.shape == expected.shape
            assert np.abs(values - expected).max() <= tolerance


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_keys_and_values_of_each_layer(dtype: str, small_checkpoint: Path, tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path / "poet", small_checkpoint, num_places=5, dtype=dtype)
    summary = convert_prefix(prefix.folder, tmp_path / "poet.gguf")
    assert_holds(tmp_path / "poet.gguf", prefix)
    assert (summary.num_places, summary.num_layers) == (5, 2)
    assert summary.num_bytes == (tmp_path / "poet.gguf").stat().st_size


def test_what_is_written(small_checkpoint: Path, tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path / "poet", small_checkpoint)
    convert_prefix(prefix.folder, tmp_path / "poet.gguf")
    reader = GGUFReader(tmp_path / "poet.gguf")
    fields = {name: reader.fields[name].contents() for name in reader.fields}
    assert fields["general.architecture"] == "chatglm"
    assert fields["general.type"] == "adapter"
    assert fields["general.name"] == "poet"
    assert fields["adapter.type"] == "prefix"


@pytest.mark.parametrize("hidden_size", [64, 1200])  # more rows than are read at once
def test_a_projection(hidden_size: int, small_checkpoint: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_bytes((small_checkpoint / "config.json").read_bytes())
    edit_json(model / "config.json", hidden_size=hidden_size)
    prefix = make_prefix(tmp_path / "prefix", model, projection=True)
    convert_prefix(prefix.folder, tmp_path / "prefix.gguf")
    assert_holds(tmp_path / "prefix.gguf", prefix, tolerance=1e-5)


def test_with_the_models_weights_beside_it(small_checkpoint: Path, tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path / "prefix", small_checkpoint)
    tensors = load_file(prefix.folder / WEIGHTS) | load_tensors(small_checkpoint)
    save_file(tensors, prefix.folder / WEIGHTS)
    convert_prefix(prefix.folder, tmp_path / "prefix.gguf")
    assert_holds(tmp_path / "prefix.gguf", prefix)


def test_one_trained_on_a_quantized_model(small_checkpoint: Path, tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path / "prefix", small_checkpoint, quantization_bit=4)
    convert_prefix(prefix.folder, tmp_path / "prefix.gguf")
    assert_holds(tmp_path / "prefix.gguf", prefix)


@pytest.mark.parametrize("projection", [False, True])
def test_bin_weights_are_the_same(projection: bool, small_checkpoint: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is an extra")
    folder = make_prefix(tmp_path / "prefix", small_checkpoint, projection=projection).folder
    convert_prefix(folder, tmp_path / "first.gguf")
    tensors = {name: torch.from_numpy(v) for name, v in load_file(folder / WEIGHTS).items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    convert_prefix(folder, tmp_path / "second.gguf")
    assert (tmp_path / "first.gguf").read_bytes() == (tmp_path / "second.gguf").read_bytes()


FIRST, SECOND = f"{ENCODER}trans.0.weight", f"{ENCODER}trans.2.bias"
Edit = Callable[[dict[str, Any]], object]


def _set(name: str, value: float) -> Edit:
    return lambda tensors: tensors[name].__setitem__(0, value)


DAMAGED: dict[str, tuple[Edit, type[errors.ConvertError], str]] = {
    "no prefix": (lambda t: t.clear(), errors.ConvertError, "holds no P-Tuning v2 prefix"),
    "no embedding": (lambda t: t.pop(EMBEDDING), errors.MissingTensorError, "embedding.weight is"),
    "no matrix": (lambda t: t.pop(FIRST), errors.MissingTensorError, "trans.0.weight is missing"),
    "no bias": (lambda t: t.pop(SECOND), errors.MissingTensorError, "trans.2.bias is missing"),
    "short": (
        lambda t: t.update({EMBEDDING: t[EMBEDDING][:7].copy()}),
        errors.TensorShapeError,
        "has shape 7 x 128 where config.json asks for 8 x 128",
    ),
    "narrow": (
        lambda t: t.update({FIRST: t[FIRST][:, 1:].copy()}),
        errors.TensorShapeError,
        "has shape 64 x 127",
    ),
    "NaN": (_set(EMBEDDING, np.nan), errors.TensorValueError, "gives NaN or infinity"),
    "infinity": (_set(SECOND, np.inf), errors.TensorValueError, "gives NaN or infinity"),
    "large": (_set(SECOND, 1e5), errors.TensorValueError, "gives values beyond 65504"),
    "integers": (
        lambda t: t.update({EMBEDDING: t[EMBEDDING].astype(np.int8)}),
        errors.TensorValueError,
        "is stored as I8",
    ),
    "another part": (
        lambda t: t.update({f"{ENCODER}trans.4.bias": t[SECOND]}),
        errors.ConfigError,
        "trans.4.bias",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_weights(case: str, small_checkpoint: Path, tmp_path: Path) -> None:
    edit, error, problem = DAMAGED[case]
    folder = make_prefix(tmp_path / "prefix", small_checkpoint, projection=True).folder
    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors or {"lm_head.weight": np.zeros(2, np.float32)}, folder / WEIGHTS)
    _assert_refused(tmp_path, error, problem)


CONFIGS: dict[str, tuple[dict[str, Any], type[errors.ConvertError], str]] = {
    "no length": ({"pre_seq_len": None}, errors.ConfigError, "pre_seq_len is None"),
    "another length": ({"pre_seq_len": 9}, errors.TensorShapeError, "asks for 9 x 128"),
    "half a length": ({"pre_seq_len": 7.5}, errors.ConfigError, "pre_seq_len is 7.5"),
    "no groups": ({"multi_query_group_num": ...}, errors.ConfigError, "multi_query_group_num"),
    "odd heads": ({"kv_channels": 30}, errors.ConfigError, "must be a multiple of 4"),
    "more layers": ({"num_layers": 3}, errors.TensorShapeError, "asks for 8 x 192"),
    "a projection": ({"prefix_projection": True}, errors.MissingTensorError, "trans.0.weight"),
    "some projection": ({"prefix_projection": "yes"}, errors.ConfigError, "prefix_projection is"),
    "no groups at all": ({"multi_query_attention": False}, errors.ConfigError, "multi_query"),
    "ChatGLM-6B": ({"inner_hidden_size": 9}, errors.UnsupportedArchitectureError, "ChatGLM-6B"),
    "GLM-4": ({"padded_vocab_size": 151552}, errors.UnsupportedArchitectureError, "GLM-4"),
    "Llama": ({"model_type": "llama"}, errors.UnsupportedArchitectureError, "a llama model"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations_that_do_not_fit(case: str, small_checkpoint: Path, tmp_path: Path) -> None:
    changes, error, problem = CONFIGS[case]
    folder = make_prefix(tmp_path / "prefix", small_checkpoint).folder
    edit_json(folder / "config.json", **changes)
    _assert_refused(tmp_path, error, problem)


def test_a_projection_that_is_not_announced(small_checkpoint: Path, tmp_path: Path) -> None:
    folder = make_prefix(tmp_path / "prefix", small_checkpoint, projection=True).folder
    edit_json(folder / "config.json", prefix_projection=False)
    _assert_refused(tmp_path, errors.ConfigError, "prefix_projection is false, and there is")


def test_files_cut_short_and_missing(small_checkpoint: Path, tmp_path: Path) -> None:
    folder = make_prefix(tmp_path / "prefix", small_checkpoint).folder
    truncate(folder / WEIGHTS)
    _assert_refused(tmp_path, errors.DamagedFileError, "download the file again")
    (folder / WEIGHTS).unlink()
    _assert_refused(tmp_path, errors.NotACheckpointError, "it has no model.safetensors")
    (folder / "config.json").unlink()
    _assert_refused(tmp_path, errors.NotACheckpointError, "config.json is missing")


def test_an_output_that_exists(small_checkpoint: Path, tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path / "prefix", small_checkpoint)
    (tmp_path / "prefix.gguf").write_bytes(b"mine")
    with pytest.raises(errors.OutputExistsError):
        convert_prefix(prefix.folder, tmp_path / "prefix.gguf")
    assert (tmp_path / "prefix.gguf").read_bytes() == b"mine"
    convert_prefix(prefix.folder, tmp_path / "prefix.gguf", overwrite=True)
    assert_holds(tmp_path / "prefix.gguf", prefix)


def _assert_refused(folder: Path, error: type[errors.ConvertError], problem: str) -> None:
    """The prefix in ``folder`` cannot be converted, and leaves nothing there."""
    with pytest.raises(error, match=problem) as caught:
        convert_prefix(folder / "prefix", folder / "prefix.gguf")
    assert "\n" not in str(caught.value)
    assert not [path for path in folder.iterdir() if "gguf" in path.name]
