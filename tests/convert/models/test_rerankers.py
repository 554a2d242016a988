"""Rerankers: how they are recognized, and what becomes of their classification head."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from glm3edge_convert import convert
from glm3edge_convert.conversion import Kind, check_before_weights, kind_of
from glm3edge_convert.errors import (
    ConvertError,
    MissingTensorError,
    TensorShapeError,
)
from glm3edge_convert.models.bert.hparams import UnsupportedRerankerError
from tests.support.encoders import HIDDEN, make_bert, make_reranker, make_xlm_roberta

pytestmark = pytest.mark.slow

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_reranker(tmp_path / "reranker")
    return tmp_path / "reranker"


def edit(folder: Path, **fields: Any) -> None:
    """Set fields of config.json, or drop them (None)."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8")) | fields
    config = {key: field for key, field in config.items() if field is not None}
    path.write_text(json.dumps(config), "utf-8")


def edit_weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("quant_type", "types"),
    [
        ("f32", {"F32"}),
        ("f16", {"F16", "F32"}),
        ("bf16", {"BF16", "F32"}),
        ("q8_0", {"F16", "F32"}),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_head(tmp_path: Path, seed: int, quant_type: str, types: set[str]) -> None:
    """Weights in the type, f16 for q8_0, and biases in f32; none of their values changes."""
    folder = tmp_path / "reranker"
    make_reranker(folder, seed=seed)
    convert(folder, tmp_path / "model.gguf", quant_type=quant_type)
    reader, weights = gguf.GGUFReader(tmp_path / "model.gguf"), load_file(folder / WEIGHTS)
    tensors = {t.name: t for t in reader.tensors if t.name.startswith("cls")}
    assert {t.tensor_type.name for t in tensors.values()} == types
    names = {"cls": "classifier.dense", "cls.output": "classifier.out_proj"}
    assert len(tensors) == 2 * len(names)
    for name, source in names.items():
        for part in ("weight", "bias"):
            found, expected = tensors[f"{name}.{part}"], weights[f"{source}.{part}"]
            assert tuple(reversed(found.shape.tolist())) == expected.shape
            values = gguf.quants.dequantize(found.data, found.tensor_type)
            atol = 0.004 if quant_type == "bf16" else 0  # the others hold multiples of 1/1024
            np.testing.assert_allclose(values.reshape(expected.shape), expected, atol=atol, rtol=0)
    assert reader.fields["bert.pooling_type"].contents() == int(gguf.PoolingType.RANK)


KINDS: dict[str, tuple[Callable[[Path], None], dict[str, Any], Kind]] = {
    "reranker": (make_reranker, {}, Kind.RERANK),
    "embeddings of BERT": (make_bert, {}, Kind.EMBEDDING),
    "embeddings of XLM-RoBERTa": (make_xlm_roberta, {}, Kind.EMBEDDING),
    "without architectures": (make_xlm_roberta, {"architectures": None}, Kind.EMBEDDING),
    "architectures of nothing": (make_xlm_roberta, {"architectures": [None, 5]}, Kind.EMBEDDING),
    "for masked tokens": (
        make_xlm_roberta,
        {"architectures": ["XLMRobertaForMaskedLM"]},
        Kind.EMBEDDING,
    ),
    "a classifier": (make_reranker, {"id2label": {"0": "no", "1": "yes"}}, Kind.RERANK),
    "ChatGLM3": (make_bert, {"model_type": "chatglm"}, Kind.CHAT),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds(tmp_path: Path, name: str) -> None:
    make, fields, kind = KINDS[name]
    make(tmp_path / "model")
    edit(tmp_path / "model", **fields)
    assert kind_of(tmp_path / "model") is kind


BERT_HEAD = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
PROBLEMS: dict[str, tuple[Callable[[Path], object], type[ConvertError], str]] = {
    "BERT": (
        lambda f: edit(f, **BERT_HEAD),
        UnsupportedRerankerError,
        "one type only; rerankers of",
    ),
    "two labels": (
        lambda f: edit(f, id2label={"0": "no", "1": "yes"}),
        UnsupportedRerankerError,
        "a classifier with 2 labels, and a reranker has one",
    ),
    "three labels": (
        lambda f: edit(f, id2label=None, num_labels=3),
        UnsupportedRerankerError,
        "a classifier with 3 labels",
    ),
    "labels of the library's default": (
        lambda f: edit(f, id2label=None),
        UnsupportedRerankerError,
        "a classifier with 2 labels",
    ),
    "no head": (
        lambda f: edit_weights(f, lambda w: w.pop("classifier.dense.weight")),
        MissingTensorError,
        "classifier.dense.weight",
    ),
    "another shape": (
        lambda f: edit_weights(
            f, lambda w: w.update({"classifier.out_proj.weight": np.zeros((2, HIDDEN), np.float32)})
        ),
        TensorShapeError,
        "classifier.out_proj.weight",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(folder: Path, name: str) -> None:
    break_it, error, message = PROBLEMS[name]
    break_it(folder)
    with pytest.raises(error, match=message) as caught:
        convert(folder, folder.parent / "model.gguf")
    assert "\n" not in str(caught.value)
    assert not (folder.parent / "model.gguf").exists()


@pytest.mark.parametrize("name", ["BERT", "two labels"])
def test_before_the_weights_are_there(folder: Path, name: str) -> None:
    break_it, error, message = PROBLEMS[name]
    check_before_weights(folder, WEIGHTS, "q8_0")
    break_it(folder)
    with pytest.raises(error, match=message):
        check_before_weights(folder, WEIGHTS, "q8_0")


def test_one_label_of_older_files(folder: Path) -> None:
    edit(folder, id2label=None, num_labels=1)
    convert(folder, folder.parent / "model.gguf")
