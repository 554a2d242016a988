"""Checkpoints whose tensors are not quite those of the official one."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file

from glm3edge.commands.verify.reference import Reference
from glm3edge_convert import ConvertError, convert
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.errors import TensorShapeError
from glm3edge_convert.models.chatglm.tensors import EMBEDDING
from glm3edge_convert.tokenizer.vocab import read_vocabulary
from tests.support.checkpoints import SMALL, Tensors, load_tensors, merge_shards
from tests.support.lora_adapters import add_tensors, layer_modules, make_adapter

pytestmark = pytest.mark.slow

OUTPUT_LAYER = "transformer.output_layer.weight"


@pytest.fixture
def vocab_size(checkpoint: Path) -> int:
    return int(read_config(checkpoint)["padded_vocab_size"])


def rewrite(checkpoint: Path, edit: Callable[[Tensors], Tensors]) -> None:
    merge_shards(checkpoint)
    save_file(edit(load_tensors(checkpoint)), checkpoint / "model.safetensors")


def made(checkpoint: Path, adapters: tuple[Path, ...] = ()) -> bytes:
    path = checkpoint.parent / "made.gguf"
    scaled = [ScaledPath(adapter) for adapter in adapters]
    convert(checkpoint, path, quant_type="f16", adapters=scaled, overwrite=True)
    return path.read_bytes()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_names_that_a_wrapper_changed(prefix: str, checkpoint: Path) -> None:
    """They were called missing."""
    expected = made(checkpoint)
    rewrite(checkpoint, lambda tensors: {prefix + name: tensors[name] for name in tensors})
    assert made(checkpoint) == expected


def _with_classifier(tensors: Tensors) -> Tensors:
    """As ChatGLMForSequenceClassification has them."""
    others = {name: tensors[name] for name in tensors if name != OUTPUT_LAYER}
    return {**others, "classifier_head.weight": np.zeros((3, 64), np.float16)}


def _with_value_head(tensors: Tensors) -> Tensors:
    """As TRL's models with a value head have them."""
    return {**tensors, "v_head.summary.weight": np.zeros((1, 64), np.float16)}


def _unmerged(tensors: Tensors) -> Tensors:
    """As PEFT's models are if their weights are saved as they are."""
    name = "base_model.model.transformer.encoder.layers.0.self_attention.dense"
    lora = {f"{name}.lora_{letter}.default.weight": np.zeros((4, 4), np.float16) for letter in "AB"}
    return {f"base_model.model.{key}": value for key, value in tensors.items()} | lora


@pytest.mark.parametrize(
    ("edit", "reason", "code"),
    [
        (_with_classifier, r"a classifier or reward model.*classifier_head\.weight", 4),
        (_with_value_head, r"a classifier or reward model.*v_head\.summary", 4),
        (_unmerged, "is of an adapter beside a model; save what PEFT's merge_and_unload", 5),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_models_of_another_kind(
    edit: Callable[[Tensors], Tensors], reason: str, code: int, checkpoint: Path
) -> None:
    """They were told to download the checkpoint again."""
    rewrite(checkpoint, edit)
    with pytest.raises(ConvertError, match=reason) as caught:
        made(checkpoint)
    assert caught.value.exit_code == code


def test_an_embedding_without_rows_for_the_padding(checkpoint: Path, vocab_size: int) -> None:
    """``resize_token_embeddings(len(tokenizer))`` cuts them off, and the output layer's not."""
    num_used = read_vocabulary(checkpoint, vocab_size).num_used
    whole = load_tensors(checkpoint)[EMBEDDING]
    rewrite(checkpoint, lambda tensors: {**tensors, EMBEDDING: tensors[EMBEDDING][: num_used + 2]})
    made(checkpoint)
    table = next(
        tensor
        for tensor in gguf.GGUFReader(checkpoint.parent / "made.gguf").tensors
        if tensor.name == "token_embd.weight"
    ).data
    np.testing.assert_array_equal(table[: num_used + 2], whole[: num_used + 2])
    assert table.shape == whole.shape
    assert not table[num_used + 2 :].any()
    assert Reference(checkpoint).hparams.vocab_size == vocab_size


@pytest.mark.parametrize("change", ["more rows", "too few rows"])
def test_an_embedding_of_another_size(change: str, checkpoint: Path, vocab_size: int) -> None:
    num_rows = vocab_size + 3 if change == "more rows" else 1000
    rows = np.zeros((num_rows, SMALL.hidden_size), np.float16)
    rewrite(checkpoint, lambda tensors: {**tensors, EMBEDDING: rows})
    with pytest.raises(TensorShapeError, match=rf"resize_token_embeddings\({vocab_size}\)"):
        made(checkpoint)


def test_an_adapter_saved_with_the_embedding(
    checkpoint: Path, tmp_path: Path, vocab_size: int
) -> None:
    """PEFT adds the embedding as soon as it was resized, or if it is told to."""
    lora = make_adapter(tmp_path / "lora", checkpoint, layer_modules(SMALL.num_layers)).folder
    rows = np.random.default_rng(0).normal(size=(vocab_size - 20, SMALL.hidden_size))
    add_tensors(lora, {f"base_model.model.{EMBEDDING}": rows.astype(np.float32)})
    found = made(checkpoint, (lora,))
    rewrite(checkpoint, lambda tensors: {**tensors, EMBEDDING: rows.astype(np.float32)})
    plain = make_adapter(tmp_path / "plain", checkpoint, layer_modules(SMALL.num_layers)).folder
    assert made(checkpoint, (plain,)) == found
    add_tensors(lora, {f"base_model.model.{EMBEDDING}": np.zeros((vocab_size + 2, 64), np.float32)})
    with pytest.raises(TensorShapeError, match=r"lora/adapter_model.*resize_token_embeddings"):
        made(checkpoint, (lora,))
