"""Random checkpoints look like the official one and are the same for the same arguments."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from safetensors import safe_open

from glm3edge_convert.errors import OutputError
from glm3edge_convert.synth.random_checkpoint import (
    NUM_PIECES,
    SHAPES,
    _split,
    _tensors,
    make_checkpoint,
)
from tests.support.checkpoints import SMALL, load_tensors


def test_files(small_checkpoint: Path) -> None:
    assert sorted(path.name for path in small_checkpoint.iterdir()) == [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.model",
        "tokenizer_config.json",
    ]


def test_index(small_checkpoint: Path) -> None:
    index = json.loads((small_checkpoint / "model.safetensors.index.json").read_text())
    tensors = load_tensors(small_checkpoint)
    assert index["weight_map"].keys() == tensors.keys()
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in tensors.values())
    assert len(set(index["weight_map"].values())) == 2
    for name in set(index["weight_map"].values()):
        with safe_open(small_checkpoint / name, "numpy") as shard:
            assert shard.metadata() == {"format": "pt"}


def test_6b_has_the_official_tensors_in_seven_shards() -> None:
    tensors = list(_tensors(SHAPES["6b"]))
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    layer = "transformer.encoder.layers.27"
    assert len(shapes) == 1 + 1 + 28 * 7 + 2
    assert shapes["transformer.embedding.word_embeddings.weight"] == (65024, 4096)
    assert shapes["transformer.rotary_pos_emb.inv_freq"] == (32,)
    assert shapes[f"{layer}.self_attention.query_key_value.weight"] == (4608, 4096)
    assert shapes[f"{layer}.mlp.dense_h_to_4h.weight"] == (27392, 4096)
    assert shapes[f"{layer}.mlp.dense_4h_to_h.weight"] == (4096, 13696)
    assert sum(tensor.num_values for tensor in tensors) == 6_243_584_032
    shards = _split(tensors, 7)
    assert [tensor for shard in shards for tensor in shard] == tensors
    sizes = [2 * sum(tensor.num_values for tensor in shard) for shard in shards]
    assert max(sizes) < 2.1e9
    assert min(sizes) > 1.5e9


def test_tiny_is_tiny() -> None:
    shape = replace(SHAPES["tiny"], padded_vocab_size=1664)
    assert sum(tensor.num_values for tensor in _tensors(shape)) < 4_000_000


def test_tokenizer_has_the_official_settings(tokenizer: Path) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    assert processor.get_piece_size() == NUM_PIECES
    assert (processor.unk_id(), processor.bos_id(), processor.eos_id()) == (0, 1, 2)
    assert processor.pad_id() == -1
    assert processor.encode("12", out_type=str) == ["▁", "1", "2"]
    for text in ("  你好，  world\t\n", "ｆｕｌｌ　width"):
        assert processor.decode(processor.encode(text)) == text
    assert len(processor.encode("The quantized model reads the weights of the model.")) < 16
    assert len(processor.encode("本地服务器可以读取模型的权重。")) < 10


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_same_seed_gives_the_same_bytes(dtype: str, tokenizer: Path, tmp_path: Path) -> None:
    def make(name: str, seed: int) -> dict[str, bytes]:
        make_checkpoint(tmp_path / name, shape=SMALL, tokenizer=tokenizer, seed=seed, dtype=dtype)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    first, again, other = make("first", 1), make("again", 1), make("other", 2)
    assert first == again
    assert first["model-00001-of-00002.safetensors"] != other["model-00001-of-00002.safetensors"]
    assert json.loads(first["config.json"])["torch_dtype"] == dtype


def test_large_tensors_repeat_but_no_two_rows_are_alike(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glm3edge_convert.synth.random_checkpoint.BLOCK_VALUES", 1009)
    make_checkpoint(tmp_path / "out", shape=SMALL, tokenizer=tokenizer)
    values = load_tensors(tmp_path / "out")["transformer.encoder.layers.0.mlp.dense_h_to_4h.weight"]
    assert len(np.unique(values, axis=0)) == len(values)
    np.testing.assert_array_equal(values.ravel()[:1009], values.ravel()[1009:2018])


def test_config_has_optional_keys_only_if_given(tokenizer: Path, tmp_path: Path) -> None:
    shape = replace(SMALL, rope_ratio=50, padded_vocab_size=2000)
    make_checkpoint(tmp_path / "out", shape=shape, tokenizer=tokenizer, num_shards=3)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["rope_ratio"], config["padded_vocab_size"]) == (50, 2000)
    assert len(list((tmp_path / "out").glob("*-of-00003.safetensors"))) == 3


def test_a_full_folder_is_refused(tokenizer: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    make_checkpoint(tmp_path / "out", shape=SMALL, tokenizer=tokenizer)
    before = {path.name for path in (tmp_path / "out").iterdir()}
    with pytest.raises(OutputError, match="not an empty folder"):
        make_checkpoint(tmp_path / "out", shape=SMALL, tokenizer=tokenizer)
    assert {path.name for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        make_checkpoint(tmp_path / "out", shape=SMALL, tokenizer=tmp_path / "absent")
    assert not list(tmp_path.iterdir())
