"""Importance matrices: written, read, and refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from glm3edge_convert import convert
from glm3edge_convert.errors import ImatrixError, OutputExistsError
from glm3edge_convert.quantize.imatrix import read_imatrix, write_imatrix
from tests.support.encoders import make_bert

pytestmark = pytest.mark.slow

SUMS = {"blk.1.b": np.array([4, 0, 8], np.float32), "blk.0.a": np.array([1, 3], np.float32)}


def write(path: Path, **options: Any) -> Path:
    counts = {"blk.0.a": 2, "blk.1.b": 4}
    write_imatrix(
        path, SUMS, counts, datasets=["text.txt"], num_chunks=3, chunk_size=512, **options
    )
    return path


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    found = read_imatrix(write(tmp_path / "imatrix.gguf"))
    assert {name: weights.tolist() for name, weights in found.weights.items()} == {
        "blk.0.a": [0.5, 1.5],
        "blk.1.b": [1.0, 0.0, 2.0],
    }
    assert (found.name, found.datasets, found.num_chunks) == ("imatrix.gguf", ("text.txt",), 3)


def test_it_has_the_fields_of_llama_cpps_tool(tmp_path: Path) -> None:
    reader = gguf.GGUFReader(write(tmp_path / "imatrix.gguf"))
    fields = {key: field.contents() for key, field in reader.fields.items()}
    assert fields["general.type"] == "imatrix"
    assert fields["imatrix.datasets"] == ["text.txt"]
    assert (fields["imatrix.chunk_count"], fields["imatrix.chunk_size"]) == (3, 512)
    shapes = {tensor.name: tensor.shape.tolist() for tensor in reader.tensors}
    assert shapes == {
        "blk.0.a.in_sum2": [2, 1],
        "blk.0.a.counts": [1, 1],
        "blk.1.b.in_sum2": [3, 1],
        "blk.1.b.counts": [1, 1],
    }


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "imatrix.gguf")
    with pytest.raises(OutputExistsError):
        write(path)
    write(path, overwrite=True)


def arrays(path: Path, tensors: dict[str, list[float]], kind: str = "imatrix") -> None:
    writer = gguf.GGUFWriter(path, "")
    writer.add_type(kind)
    for name, values in tensors.items():
        writer.add_tensor(name, np.array([values], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


PROBLEMS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda _path: None, "cannot be read"),
    "no GGUF file": (lambda path: path.write_bytes(b"x" * 999), "is not a GGUF file"),
    "cut short": (lambda path: path.write_bytes(b"GGUF\3\0\0\0"), "damaged or cut off"),
    "a model": (lambda path: arrays(path, {"a": [1]}, kind="model"), "of another kind"),
    "empty": (lambda path: arrays(path, {}), "has no entries"),
    "no counts": (lambda path: arrays(path, {"a.in_sum2": [1]}), "how often a.in_sum2"),
    "counted never": (
        lambda path: arrays(path, {"a.in_sum2": [1], "a.counts": [0]}),
        "how often a.in_sum2",
    ),
    "not finite": (
        lambda path: arrays(path, {"a.in_sum2": [1, float("nan")], "a.counts": [1]}),
        "no squares add up to",
    ),
    "negative": (
        lambda path: arrays(path, {"a.in_sum2": [1, -1], "a.counts": [1]}),
        "no squares add up to",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(name: str, tmp_path: Path) -> None:
    make, message = PROBLEMS[name]
    make(tmp_path / "imatrix.gguf")
    with pytest.raises(ImatrixError, match=message) as caught:
        read_imatrix(tmp_path / "imatrix.gguf")
    assert "\n" not in str(caught.value)


def test_another_models_is_refused(small_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "imatrix.gguf"
    arrays(path, {"blk.0.ffn_up.weight.in_sum2": [1, 1], "blk.0.ffn_up.weight.counts": [1]})
    with pytest.raises(ImatrixError, match=r"has 2 values for blk\.0\.ffn_up\.weight, whose"):
        convert(small_checkpoint, tmp_path / "out.gguf", quant_type="q4_k_m", imatrix=path)
    assert [file.name for file in tmp_path.iterdir()] == ["imatrix.gguf"]


def full(path: Path, checkpoint: Path, *, ffn_size: int | None = None) -> dict[str, list[float]]:
    """Importances of all matrices of a model, all different."""
    convert(checkpoint, path.with_name("model.gguf"), quant_type="f16")
    tensors = {}
    for tensor in gguf.GGUFReader(path.with_name("model.gguf")).tensors:
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2:
            size = int(tensor.shape[0])
            if "ffn_down" in tensor.name:
                size = ffn_size or size
            tensors[f"{tensor.name}.in_sum2"] = np.arange(1, size + 1).tolist()
            tensors[f"{tensor.name}.counts"] = [3]
    return tensors


def test_of_a_coarse_type_every_matrix_is_needed(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "imatrix.gguf"
    tensors = full(path, tiny_checkpoint)
    del tensors["blk.1.ffn_up.weight.in_sum2"]
    arrays(path, tensors)
    with pytest.raises(ImatrixError, match=r"has none for blk\.1\.ffn_up\.weight"):
        convert(tiny_checkpoint, tmp_path / "out.gguf", quant_type="iq2_xs", imatrix=path)
    convert(tiny_checkpoint, tmp_path / "out.gguf", quant_type="q4_k_m", imatrix=path)


@pytest.mark.parametrize("type_name", ["q4_k_m", "q2_k", "iq2_m", "iq2_xs", "iq4_xs", "q6_k"])
def test_an_unpadded_models_is_padded(
    type_name: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """llama.cpp's own converter leaves the feed-forward width as it is: 640 in the tiny model."""
    path = tmp_path / "imatrix.gguf"
    arrays(path, full(path, tiny_checkpoint, ffn_size=640))
    convert(tiny_checkpoint, tmp_path / "out.gguf", quant_type=type_name, imatrix=path)
    tensors = gguf.GGUFReader(tmp_path / "out.gguf").tensors
    (down,) = [tensor for tensor in tensors if tensor.name == "blk.1.ffn_down.weight"]
    values = gguf.quants.dequantize(down.data, down.tensor_type)
    assert values.shape == (256, 768)
    assert np.isfinite(values).all()
    assert np.abs(values[:, 640:]).max() < 5e-3  # the coarsest types have no zero
    assert np.abs(values[:, :640]).max() > 0.01


def test_encoders_have_no_use_for_it(tmp_path: Path) -> None:
    make_bert(tmp_path / "bert")
    path = write(tmp_path / "imatrix.gguf")
    with pytest.raises(ImatrixError, match="cannot be used with an encoder"):
        convert(tmp_path / "bert", tmp_path / "out.gguf", imatrix=path)


def test_types_that_do_not_round_ignore_it(small_checkpoint: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "imatrix.gguf")
    convert(small_checkpoint, tmp_path / "a.gguf", quant_type="f16", imatrix=path)
    convert(small_checkpoint, tmp_path / "b.gguf", quant_type="f16")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
