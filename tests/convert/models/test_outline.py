"""Outlines of models: as what a conversion writes, without the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gguf import GGUFReader

from glm3edge_convert.checkpoint.hparams import parse_hparams, read_config
from glm3edge_convert.convert import convert
from glm3edge_convert.errors import UnknownTypeError
from glm3edge_convert.models.outline import CHATGLM3_6B, write_outline

if TYPE_CHECKING:
    from pathlib import Path


def _tensors(path: Path) -> list[tuple[str, str, list[int]]]:
    return [
        (tensor.name, tensor.tensor_type.name, [int(size) for size in tensor.shape])
        for tensor in GGUFReader(path).tensors
    ]


@pytest.mark.parametrize("type_name", ["f16", "q4_k_m", "q3_k_m"])
def test_tensors_are_those_of_a_conversion(
    type_name: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    convert(tiny_checkpoint, tmp_path / "model.gguf", type=type_name)
    hparams = parse_hparams(tiny_checkpoint, read_config(tiny_checkpoint))
    size = write_outline(tmp_path / "outline.gguf", hparams, type_name)
    assert _tensors(tmp_path / "outline.gguf") == _tensors(tmp_path / "model.gguf")
    assert size == (tmp_path / "outline.gguf").stat().st_size


def test_it_takes_no_space(tmp_path: Path) -> None:
    path = tmp_path / "6b.gguf"
    assert write_outline(path, CHATGLM3_6B, "q4_k_m") == path.stat().st_size
    assert 3698 < path.stat().st_size / 2**20 < 3702
    assert path.stat().st_blocks * 512 < 2**20


def test_unknown_type(tmp_path: Path) -> None:
    with pytest.raises(UnknownTypeError):
        write_outline(tmp_path / "model.gguf", CHATGLM3_6B, "q9")
