"""Every type's file equals, to the byte, what llama.cpp's quantize tool makes of our f16 file."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from glm3edge_convert import convert
from glm3edge_convert.errors import ImatrixError
from glm3edge_convert.quantize.imatrix import read_imatrix, write_imatrix
from glm3edge_convert.quantize.recipe import RECIPES
from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint
from tests.support import llama

pytestmark = pytest.mark.slow

SHAPES = {
    "8 layers": Shape(256, 8, 4, 2, 64, 300, 256),
    "16 layers, shared by 4": Shape(256, 16, 8, 2, 32, 256, 256),
    "hidden 288": Shape(288, 9, 4, 2, 72, 300, 256),  # blocks of 32 fit, of 256 do not
    "hidden 48": Shape(48, 4, 4, 2, 12, 100, 256),  # no block fits a row
}
# Keys that a tool rewrites for itself rather than copying.
VOLATILE = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"}


@pytest.fixture(scope="module", params=SHAPES)
def f16(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer: Path
) -> Path:
    """An f16 file, beside the ``checkpoint`` folder it was made from."""
    folder = tmp_path_factory.mktemp("bytes")
    make_checkpoint(folder / "checkpoint", shape=SHAPES[request.param], tokenizer=tokenizer)
    convert(folder / "checkpoint", folder / "f16.gguf", quant_type="f16", threads=2)
    return folder / "f16.gguf"


@pytest.fixture(scope="module")
def imatrix(f16: Path) -> Path:
    """Importances of all matrices but the embedding, as random as the weights."""
    path = f16.with_name("imatrix.gguf")
    rng = np.random.default_rng(5)
    names = {
        tensor.name: int(tensor.shape[0])
        for tensor in gguf.GGUFReader(f16).tensors
        if len(tensor.shape) == 2 and tensor.name != "token_embd.weight"
    }
    sums = {name: rng.exponential(1, size).astype(np.float32) for name, size in names.items()}
    write_imatrix(
        path, sums, dict.fromkeys(sums, 7), datasets=["random"], num_chunks=1, chunk_size=7
    )
    return path


@pytest.mark.parametrize("type_name", RECIPES)
def test_with_importances_it_equals_the_quantize_tool(
    type_name: str, f16: Path, imatrix: Path, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    convert(f16.with_name("checkpoint"), ours, quant_type=type_name, threads=2, imatrix=imatrix)
    weights = read_imatrix(imatrix).weights
    llama.quantize(f16, theirs, RECIPES[type_name].file_type, weights)
    found, expected = gguf.GGUFReader(ours), gguf.GGUFReader(theirs)
    keys = {key for key in _metadata(found) if key.startswith("quantize.imatrix.")}
    assert bool(keys) == RECIPES[type_name].is_quantized
    assert {k: v for k, v in _metadata(found).items() if k not in keys} == _metadata(expected)
    assert _tensors(found) == _tensors(expected)


@pytest.mark.parametrize(
    "type_name", [name for name, recipe in RECIPES.items() if recipe.needs_importances]
)
def test_coarse_types_need_importances(type_name: str, f16: Path, tmp_path: Path) -> None:
    with pytest.raises(ImatrixError, match=f"{type_name} needs an importance matrix"):
        convert(f16.with_name("checkpoint"), tmp_path / "out.gguf", quant_type=type_name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "type_name", [name for name, recipe in RECIPES.items() if not recipe.needs_importances]
)
def test_equals_the_quantize_tool(type_name: str, f16: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    convert(f16.with_name("checkpoint"), ours, quant_type=type_name, threads=2)
    llama.quantize(f16, theirs, RECIPES[type_name].file_type)
    found, expected = gguf.GGUFReader(ours), gguf.GGUFReader(theirs)
    assert _metadata(found) == _metadata(expected)
    assert _tensors(found) == _tensors(expected)


def _metadata(reader: gguf.GGUFReader) -> dict[str, Any]:
    return {
        key: (field.types, field.contents())
        for key, field in reader.fields.items()
        if key not in VOLATILE
    }


def _tensors(reader: gguf.GGUFReader) -> dict[str, tuple[str, list[int], bytes]]:
    return {
        tensor.name: (
            tensor.tensor_type.name,
            tensor.shape.tolist(),
            np.ascontiguousarray(tensor.data).tobytes(),
        )
        for tensor in reader.tensors
    }
