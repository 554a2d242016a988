"""Hugging Face's tokenizers and llguidance read the exported files as SentencePiece does."""

import json
import random
from dataclasses import replace
from pathlib import Path

import llguidance
import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as schema
from tokenizers import Tokenizer

from glm3edge_convert.errors import TokenizerError
from glm3edge_convert.export import export_tokenizer
from glm3edge_convert.synth.random_checkpoint import make_checkpoint
from glm3edge_convert.tokenizer.hugging_face import tokenizer_config, tokenizer_json
from glm3edge_convert.tokenizer.vocab import SPECIAL_TOKENS, Vocabulary, read_vocabulary
from tests.support.checkpoints import SMALL
from tests.support.official_pieces import GOLDEN_TOKENS, make_model

GOLDEN = json.loads(GOLDEN_TOKENS.read_text("utf-8"))
VOCAB_SIZE = 65024
NUM_RANDOM = 20_000
FIRST_BYTE = 3


def exported(vocabulary: Vocabulary) -> Tokenizer:
    """The exported tokenizer, as transformers sets it up."""
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json(vocabulary)))
    tokenizer.encode_special_tokens = tokenizer_config(vocabulary)["split_special_tokens"]
    return tokenizer


@pytest.fixture(scope="module", params=["own", "official"])
def model(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(
        "official_tokenizer" if request.param == "official" else "tokenizer"
    )
    return path


def test_golden_ids(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(make_model(GOLDEN["pieces"]))
    tokenizer = exported(read_vocabulary(tmp_path, VOCAB_SIZE))
    for text, ids in GOLDEN["texts"]:
        assert tokenizer.encode(text).ids == ids
        assert tokenizer.decode(ids) == text


def _random_text(rng: random.Random, pieces: list[str]) -> str:
    """A text of pieces, of repeated words and spaces, or of any characters."""
    words = [
        lambda: rng.choice(pieces),
        lambda: rng.choice(" \n=-*#0a一的▁") * rng.randint(1, 12),
        lambda: "".join(rng.choices("aeinorst ", k=rng.randint(1, 4))) * rng.randint(1, 9),
        lambda: chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x4E00, 0x9FFF)))),
        lambda: chr(rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)))),
        lambda: rng.choice([*SPECIAL_TOKENS, "sop", "</s>", "<unk>", "<0x0A>"]),
    ]
    kinds = rng.choices(words, k=rng.randint(1, 2))
    return "".join(rng.choice(kinds)() for _ in range(rng.randint(0, 16)))


@pytest.mark.slow
def test_random_texts(model: Path) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    pieces = [
        processor.id_to_piece(number).replace("▁", " ")
        for number in range(FIRST_BYTE + 256, processor.get_piece_size())
    ]
    tokenizer = exported(read_vocabulary(model.parent, VOCAB_SIZE))
    rng = random.Random(24)
    texts = [_random_text(rng, pieces) for _ in range(NUM_RANDOM)]
    different = [text for text in texts if tokenizer.encode(text).ids != processor.encode(text)]
    assert different == []


@pytest.mark.slow
def test_special_tokens_have_their_ids_and_no_text_becomes_one(model: Path) -> None:
    vocabulary = read_vocabulary(model.parent, VOCAB_SIZE)
    tokenizer = exported(vocabulary)
    assert tokenizer.get_vocab_size() == vocabulary.num_pieces + len(SPECIAL_TOKENS)
    for text in SPECIAL_TOKENS:
        assert tokenizer.token_to_id(text) == vocabulary.id_of(text)
        assert vocabulary.id_of(text) not in tokenizer.encode(f"a{text}b").ids
    assert tokenizer.token_to_id("</s>") == 2


@pytest.mark.slow
def test_llguidance_sees_the_bytes_of_every_piece(model: Path) -> None:
    """What vLLM's grammars go by. Byte 0xFF, which UTF-8 has nowhere, is llguidance's own mark."""
    vocabulary = read_vocabulary(model.parent, VOCAB_SIZE)
    seen = llguidance.LLTokenizer(
        json.dumps(tokenizer_json(vocabulary)), n_vocab=VOCAB_SIZE, eos_token=2
    )
    for number in range(FIRST_BYTE, FIRST_BYTE + 0xFF):
        assert seen.decode_bytes([number]) == bytes([number - FIRST_BYTE])
    for number in range(FIRST_BYTE + 256, vocabulary.num_pieces):
        text = vocabulary.tokens[number].text.replace("▁", " ")
        assert seen.decode_bytes([number]) == text.encode()
    for text in SPECIAL_TOKENS:
        assert seen.is_special_token(vocabulary.id_of(text))


def test_without_a_space_before_the_text(tokenizer: Path) -> None:
    vocabulary = replace(read_vocabulary(tokenizer.parent, VOCAB_SIZE), add_space_prefix=False)
    made = exported(vocabulary)
    for text in ("hello", " hello", "", "你好"):
        assert made.decode(made.encode(text).ids) == text
    assert made.encode("▁hello").ids == made.encode(" hello").ids != made.encode("hello").ids


def test_user_defined_pieces_are_refused(tokenizer: Path, tmp_path: Path) -> None:
    """SentencePiece joins them with nothing, and merges of a fast tokenizer would."""
    model = schema.ModelProto()
    model.ParseFromString(tokenizer.read_bytes())
    model.pieces[-1].type = schema.ModelProto.SentencePiece.USER_DEFINED
    changed = tmp_path / "tokenizer.model"
    changed.write_bytes(model.SerializeToString())
    make_checkpoint(tmp_path / "checkpoint", shape=SMALL, tokenizer=changed)
    with pytest.raises(TokenizerError, match="user-defined pieces"):
        export_tokenizer(tmp_path / "checkpoint", tmp_path / "out")
