"""Adapters fitted to the feed-forward width of a model's file."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from glm3edge_convert.adapters.width import differs_by_padding, write_fitted
from glm3edge_convert.gguf.reader import read_header
from tests.support.gguf_files import metadata

UP, DOWN = "blk.1.ffn_up.weight.lora_b", "blk.1.ffn_down.weight.lora_a"
OTHER = "blk.1.ffn_down.weight.lora_b"
TYPES = {
    "f32": gguf.GGMLQuantizationType.F32,
    "f16": gguf.GGMLQuantizationType.F16,
    "bf16": gguf.GGMLQuantizationType.BF16,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
}


def write_adapter(path: Path, arrays: dict[str, Any], quant_type: str = "f32") -> Path:
    writer = gguf.GGUFWriter(path, "chatglm")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 7)
    writer.add_array("general.languages", ["zh"])
    kind = TYPES[quant_type]
    for name, array in arrays.items():
        writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def arrays(width: int, *, padded_to: int | None = None, rank: int = 32) -> dict[str, Any]:
    """An adapter's matrices for that feed-forward width."""
    rng = np.random.default_rng(width)
    up = rng.normal(size=(2, width, rank)).astype(np.float32)
    down = rng.normal(size=(rank, width)).astype(np.float32)
    added = (padded_to or width) - width
    return {
        UP: np.pad(up, ((0, 0), (0, added), (0, 0))).reshape(-1, rank),
        DOWN: np.pad(down, ((0, 0), (0, added))),
        OTHER: rng.normal(size=(64, rank)).astype(np.float32),
    }


@pytest.mark.parametrize("quant_type", TYPES)
def test_padding_is_cut_off_and_added(quant_type: str, tmp_path: Path) -> None:
    """A LoRA made here was refused by files of llama.cpp's converter, as of another model."""
    narrow = write_adapter(tmp_path / "narrow.gguf", arrays(640), quant_type)
    wide = write_adapter(tmp_path / "wide.gguf", arrays(640, padded_to=768), quant_type)
    for source, size, expected in ((wide, 640, narrow), (narrow, 768, wide)):
        header = read_header(source)
        assert differs_by_padding(header, size)
        assert write_fitted(header, size, tmp_path / "fitted.gguf")
        found, original = gguf.GGUFReader(tmp_path / "fitted.gguf"), gguf.GGUFReader(expected)
        for tensor, same in zip(found.tensors, original.tensors, strict=True):
            assert (tensor.name, tensor.tensor_type) == (same.name, same.tensor_type)
            assert tensor.data.tobytes() == same.data.tobytes()
        values = metadata(found)
        assert values.items() <= metadata(original).items()
        assert values["adapter.lora.alpha"] == 7


@pytest.mark.parametrize("size", [0, 512, 640, 767, 896, 1024])
def test_other_widths_are_of_other_models(size: int, tmp_path: Path) -> None:
    header = read_header(write_adapter(tmp_path / "a.gguf", arrays(640)))
    assert not differs_by_padding(header, size)


@pytest.mark.parametrize("name", [UP, DOWN])
def test_nothing_but_zeros_is_cut_off(name: str, tmp_path: Path) -> None:
    values = arrays(640, padded_to=768)
    values[name] = arrays(768)[name]
    header = read_header(write_adapter(tmp_path / "a.gguf", values))
    assert not write_fitted(header, 640, tmp_path / "fitted.gguf")


def test_two_widths_in_one_adapter(tmp_path: Path) -> None:
    values = arrays(640) | {DOWN: arrays(700)[DOWN]}
    header = read_header(write_adapter(tmp_path / "a.gguf", values))
    assert not differs_by_padding(header, 768)


def test_blocks_are_not_split(tmp_path: Path) -> None:
    header = read_header(write_adapter(tmp_path / "a.gguf", arrays(768), "q8_0"))
    assert not differs_by_padding(header, 650)


def test_an_adapter_of_the_attention_alone(tmp_path: Path) -> None:
    header = read_header(write_adapter(tmp_path / "a.gguf", {OTHER: arrays(640)[OTHER]}))
    assert not differs_by_padding(header, 768)
