"""Header-only files: as what a conversion writes, without the data."""

from pathlib import Path

import pytest
from gguf import GGUFReader

from glm3edge_convert import convert
from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.errors import UnknownTypeError
from glm3edge_convert.models.chatglm.header_only import write_header_only
from glm3edge_convert.models.chatglm.hparams import CHATGLM3_6B, parse_hparams

pytestmark = pytest.mark.slow


def _tensors(path: Path) -> list[tuple[str, str, list[int]]]:
    return [
        (tensor.name, tensor.tensor_type.name, [int(size) for size in tensor.shape])
        for tensor in GGUFReader(path).tensors
    ]


@pytest.mark.parametrize("type_name", ["f16", "q4_k_m", "q3_k_m"])
def test_tensors_are_those_of_a_conversion(
    type_name: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    convert(tiny_checkpoint, tmp_path / "model.gguf", quant_type=type_name)
    hparams = parse_hparams(tiny_checkpoint, read_config(tiny_checkpoint))
    size = write_header_only(tmp_path / "header.gguf", hparams, type_name)
    assert _tensors(tmp_path / "header.gguf") == _tensors(tmp_path / "model.gguf")
    assert size == (tmp_path / "header.gguf").stat().st_size


def test_it_takes_no_space(tmp_path: Path) -> None:
    path = tmp_path / "6b.gguf"
    assert write_header_only(path, CHATGLM3_6B, "q4_k_m") == path.stat().st_size
    assert 3698 < path.stat().st_size / 2**20 < 3702
    assert path.stat().st_blocks * 512 < 2**20


def test_unknown_type(tmp_path: Path) -> None:
    with pytest.raises(UnknownTypeError):
        write_header_only(tmp_path / "model.gguf", CHATGLM3_6B, "q9")
