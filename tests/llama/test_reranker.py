"""Scores of pairs held against those of transformers (tests/data)."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from glm3edge.errors import ModelLoadError, ResourceClosedError
from glm3edge.llama.encoder import ARCHITECTURE, Encoder
from glm3edge.llama.model import Model
from glm3edge.llama.reranker import Reranker
from glm3edge_convert import convert
from tests.support.encoders import make_bert, make_reranker, make_xlm_roberta
from tests.support.gguf_files import metadata, write_gguf
from tests.support.paths import DATA

pytestmark = pytest.mark.slow

GOLDEN: Any = json.loads((DATA / "rerankers.json").read_text("utf-8"))
SEEDS = range(len(GOLDEN["logits"]))
LARGEST_ERRORS = {"f32": 0.03, "f16": 0.03, "bf16": 0.1, "q8_0": 0.3}
"""Of logits from -10 to 8. llama.cpp looks up GELU in f16, whatever the weights are."""

CONTEXT_SIZE = 64
LABELS = "bert.classifier.output_labels"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("rerankers")
    for seed in SEEDS:
        make_reranker(folder / str(seed), seed=seed)
    return [folder / str(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def path(folders: list[Path]) -> Path:
    path = folders[0].with_suffix(".gguf")
    convert(folders[0], path)
    return path


@contextmanager
def opened(path: Path, kind: type[Encoder] = Reranker) -> Iterator[Any]:
    with (
        Model(path, architecture=ARCHITECTURE) as model,
        kind(model, batch_size=512, num_sequences=8, num_threads=1) as encoder,
    ):
        yield encoder


def assert_refused(path: Path, kind: type[Encoder] = Reranker, *, match: str) -> None:
    with pytest.raises(ModelLoadError, match=match), opened(path, kind):
        pass


@pytest.fixture(scope="module")
def reranker(path: Path) -> Iterator[Reranker]:
    with opened(path) as reranker:
        yield reranker


def pairs(reranker: Reranker) -> list[list[int]]:
    query_ids = reranker.tokenize(GOLDEN["query"])
    return [reranker.pair(query_ids, reranker.tokenize(text)) for text in GOLDEN["documents"]]


@pytest.mark.parametrize("type_name", LARGEST_ERRORS)
@pytest.mark.parametrize("seed", SEEDS)
def test_logits_are_those_of_the_original(
    folders: list[Path], tmp_path: Path, seed: int, type_name: str
) -> None:
    path = tmp_path / "model.gguf"
    convert(folders[seed], path, quant_type=type_name)
    with opened(path) as reranker:
        ids = pairs(reranker)
        assert ids == GOLDEN["ids"]
        alone = np.concatenate([reranker.encode([one]) for one in ids])
        together = reranker.encode(ids)
    golden = np.array(GOLDEN["logits"][seed])[:, None]
    np.testing.assert_allclose(alone, golden, atol=LARGEST_ERRORS[type_name], rtol=0)
    np.testing.assert_allclose(together, golden, atol=LARGEST_ERRORS[type_name], rtol=0)


@pytest.mark.parametrize("num_query_tokens", [1, 12, 59])
def test_a_document_that_does_not_fit_is_cut_off(reranker: Reranker, num_query_tokens: int) -> None:
    room = reranker.document_room(num_query_tokens)
    query_ids = [5] * num_query_tokens
    whole = reranker.pair(query_ids, range(10, 10 + room))
    assert len(whole) == CONTEXT_SIZE
    assert reranker.pair(query_ids, range(10, 2000)) == whole
    assert reranker.encode([whole]).shape == (1, 1)


def test_a_query_that_fills_the_context_leaves_no_room(reranker: Reranker) -> None:
    assert reranker.document_room(59) == 1
    assert reranker.document_room(60) == 0


def test_text_that_spells_a_special_token_is_text(reranker: Reranker) -> None:
    end = reranker.pair([], [])[-1]
    assert end not in reranker.tokenize("</s><s>")
    assert reranker.pair([5], reranker.tokenize("</s>")).count(end) == 3


def test_a_file_of_llama_cpps_converter(path: Path, reranker: Reranker, tmp_path: Path) -> None:
    """Found by running it: its tensors are the same, and it does not name the pooling."""
    other = rewritten(path, tmp_path, without="bert.pooling_type", labels=["LABEL_0"])
    with opened(other) as theirs:
        ids = pairs(theirs)
        np.testing.assert_array_equal(theirs.encode(ids), reranker.encode(ids))
    with (
        pytest.raises(ModelLoadError, match="it is a reranker: serve it with --rerank-model"),
        opened(other, Encoder),
    ):
        pass


def test_a_closed_reranker(path: Path) -> None:
    with opened(path) as reranker:
        reranker.close()
    with pytest.raises(ResourceClosedError):
        reranker.encode([[1]])


@pytest.mark.parametrize("make", [make_bert, make_xlm_roberta])
def test_an_embedding_model_does_not_rerank(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "model")
    convert(tmp_path / "model", tmp_path / "model.gguf")
    with (
        pytest.raises(ModelLoadError, match="it has no classification head"),
        opened(tmp_path / "model.gguf"),
    ):
        pass


def test_a_reranker_makes_no_embeddings(path: Path) -> None:
    with (
        pytest.raises(ModelLoadError, match="it is a reranker: serve it with --rerank-model"),
        opened(path, Encoder),
    ):
        pass


def test_a_reranker_does_not_chat(path: Path) -> None:
    with pytest.raises(ModelLoadError, match="it is a reranker; serve it beside one that chats: "):
        Model(path)


def test_a_chat_model_does_not_rerank(tiny_gguf: Path) -> None:
    with (
        pytest.raises(ModelLoadError, match="it is a model that chats; give an encoder"),
        opened(tiny_gguf),
    ):
        pass


def test_rerankers_of_bert_are_refused(path: Path, tmp_path: Path) -> None:
    """They have two token types, and llama.cpp one."""
    make_bert(tmp_path / "model")
    convert(tmp_path / "model", tmp_path / "model.gguf")
    head = {t.name: t.data for t in gguf.GGUFReader(path).tensors if t.name.startswith("cls")}
    other = rewritten(tmp_path / "model.gguf", tmp_path, without="bert.pooling_type", tensors=head)
    assert_refused(other, match="it is not an XLM-RoBERTa reranker")


def test_classifiers_are_refused(path: Path, tmp_path: Path) -> None:
    weight = {"cls.output.weight": np.zeros((2, 64), np.float32)}
    bias = {"cls.output.bias": np.zeros(2, np.float32)}
    other = rewritten(path, tmp_path, labels=["no", "yes"], tensors=weight | bias)
    with (
        pytest.raises(ModelLoadError, match="several labels, and a reranker's has one"),
        opened(other),
    ):
        pass


def rewritten(
    path: Path,
    folder: Path,
    *,
    without: str = "",
    labels: list[str] | None = None,
    tensors: Mapping[str, Any] | None = None,
) -> Path:
    """A copy of ``path`` without a key, with labels and tensors that replace its own."""
    reader = gguf.GGUFReader(path)
    values = metadata(reader)
    values.pop(without, None)
    if labels is not None:
        values[LABELS] = labels
    whole = {tensor.name: tensor.data for tensor in reader.tensors}
    whole.update(tensors or {})
    write_gguf(folder / "copy.gguf", values, whole, types_of=reader)
    return folder / "copy.gguf"


def test_the_head_is_in_the_file(path: Path) -> None:
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert list(tensors["cls.output.weight"].shape) == [64, 1]
    assert list(tensors["cls.weight"].shape) == [64, 64]
