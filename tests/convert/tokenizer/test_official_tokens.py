"""The ids that the official tokenizer gives; scripts/golden_tokens.py wrote them down."""

import json
from typing import Any

import pytest
import sentencepiece

from glm3edge.llama.model import Model
from tests.support.official_pieces import GOLDEN_TOKENS
from tests.support.paths import OFFICIAL_TOKENIZER

GOLDEN: Any = json.loads(GOLDEN_TOKENS.read_text("utf-8"))


@pytest.mark.parametrize(("text", "ids"), GOLDEN["texts"])
def test_golden_ids(golden_vocabulary: Model, text: str, ids: list[int]) -> None:
    assert golden_vocabulary.tokenize(text) == ids
    data = b"".join(golden_vocabulary.piece(token_id) for token_id in ids)
    assert data.decode() == (f" {text}" if text else "")


@pytest.mark.slow
def test_the_golden_ids_are_those_of_the_official_file(official_vocabulary: Model) -> None:
    official = sentencepiece.SentencePieceProcessor(model_file=str(OFFICIAL_TOKENIZER))
    for piece, number in GOLDEN["pieces"].items():
        assert official.id_to_piece(number) == piece
    for text, ids in GOLDEN["texts"]:
        assert official.encode(text) == ids
        assert official_vocabulary.tokenize(text) == ids
