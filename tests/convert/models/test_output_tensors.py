"""The plan from checkpoint tensors to output tensors: order, padding, errors."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.checkpoint.weights import SourceTensor, open_tensors
from glm3edge_convert.errors import MissingTensorError, TensorShapeError, UnexpectedTensorError
from glm3edge_convert.models.chatglm.hparams import HParams, parse_hparams
from glm3edge_convert.models.chatglm.tensors import DROPPED, chatglm_mappings
from glm3edge_convert.models.output_tensors import OutputTensor, plan_tensors
from tests.support.checkpoints import load_tensors

LAYER = "transformer.encoder.layers.1"
UP = f"{LAYER}.mlp.dense_h_to_4h.weight"
DOWN = f"{LAYER}.mlp.dense_4h_to_h.weight"
FFN, PADDED = 96, 256


@pytest.fixture
def hparams(small_checkpoint: Path) -> HParams:
    return parse_hparams(small_checkpoint, read_config(small_checkpoint))


@pytest.fixture
def sources(small_checkpoint: Path) -> dict[str, SourceTensor]:
    return open_tensors(small_checkpoint)


class _Fake:
    """A source tensor with no data."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape, self.path = name, shape, Path("shard")

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        raise AssertionError("planning reads no data")


def _plan(hparams: HParams, sources: dict[str, SourceTensor]) -> dict[str, OutputTensor]:
    return {
        tensor.name: tensor
        for tensor in plan_tensors(
            Path("folder"), sources, chatglm_mappings(hparams), dropped=DROPPED
        )
    }


def test_order_and_shapes(hparams: HParams, sources: dict[str, SourceTensor]) -> None:
    plan = plan_tensors(Path("folder"), sources, chatglm_mappings(hparams), dropped=DROPPED)
    vocab = hparams.vocab_size
    layers = [
        (f"blk.{i}.{name}", shape)
        for i in range(2)
        for name, shape in (
            ("attn_norm.weight", (64,)),
            ("attn_qkv.weight", (128, 64)),
            ("attn_qkv.bias", (128,)),
            ("attn_output.weight", (64, 64)),
            ("ffn_norm.weight", (64,)),
            ("ffn_up.weight", (2 * PADDED, 64)),
            ("ffn_down.weight", (64, PADDED)),
        )
    ]
    assert [(tensor.name, tensor.shape) for tensor in plan] == [
        ("token_embd.weight", (vocab, 64)),
        *layers,
        ("output_norm.weight", (64,)),
        ("output.weight", (vocab, 64)),
    ]


def test_gate_and_up_are_padded_apart(
    hparams: HParams, sources: dict[str, SourceTensor], small_checkpoint: Path
) -> None:
    gate, up = np.split(load_tensors(small_checkpoint)[UP], 2)
    rows = np.zeros((2 * PADDED, 64), np.float32)
    rows[:FFN], rows[PADDED : PADDED + FFN] = gate, up
    tensor = _plan(hparams, sources)["blk.1.ffn_up.weight"]
    np.testing.assert_array_equal(tensor.rows(0, 2 * PADDED), rows)
    edges = (0, 1, FFN - 1, FFN, FFN + 1, PADDED - 1, PADDED, PADDED + FFN, 2 * PADDED)
    for start in edges:
        for stop in edges[edges.index(start) :]:
            np.testing.assert_array_equal(tensor.rows(start, stop), rows[start:stop])


def test_down_is_padded_to_the_right(
    hparams: HParams, sources: dict[str, SourceTensor], small_checkpoint: Path
) -> None:
    expected = np.pad(load_tensors(small_checkpoint)[DOWN], ((0, 0), (0, PADDED - FFN)))
    tensor = _plan(hparams, sources)["blk.1.ffn_down.weight"]
    np.testing.assert_array_equal(tensor.rows(0, 64), expected)
    np.testing.assert_array_equal(tensor.rows(10, 20), expected[10:20])


def test_every_tensor_is_needed(hparams: HParams, sources: dict[str, SourceTensor]) -> None:
    for name in sources:
        rest = {key: value for key, value in sources.items() if key != name}
        if name == "transformer.rotary_pos_emb.inv_freq":
            assert _plan(hparams, rest)
            continue
        with pytest.raises(MissingTensorError, match=f"tensor {name} is missing") as info:
            _plan(hparams, rest)
        assert info.value.tensor == name


def test_every_shape_is_checked(hparams: HParams, sources: dict[str, SourceTensor]) -> None:
    for name, source in sources.items():
        if name == "transformer.rotary_pos_emb.inv_freq":
            continue
        wrong = (*source.shape[:-1], source.shape[-1] + 1)
        with pytest.raises(TensorShapeError, match=f"tensor {name} has shape") as info:
            _plan(hparams, sources | {name: _Fake(name, wrong)})
        assert (info.value.expected, info.value.found) == (source.shape, wrong)


def test_shape_message(hparams: HParams, sources: dict[str, SourceTensor]) -> None:
    with pytest.raises(TensorShapeError, match=r"shape 7 x 64 where .* asks for 192 x 64"):
        _plan(hparams, sources | {UP: _Fake(UP, (7, 64))})


@pytest.mark.parametrize(
    "name",
    [
        "transformer.prefix_encoder.embedding.weight",
        "transformer.encoder.layers.2.input_layernorm.weight",
        f"{LAYER}.mlp.dense_4h_to_h.bias",
        "base_model.model.transformer.lora_A.weight",
    ],
)
def test_extra_tensors_are_errors(
    name: str, hparams: HParams, sources: dict[str, SourceTensor]
) -> None:
    with pytest.raises(UnexpectedTensorError, match=re.escape(f"unexpected tensor {name}")):
        _plan(hparams, sources | {name: _Fake(name, (64,))})
