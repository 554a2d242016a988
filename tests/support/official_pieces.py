"""A SentencePiece model with those pieces of the official one that the golden texts meet.

Every other id has a piece of private-use characters, which no text has, so that ids are the
official ones. The scores of the official model fall with the ids, so ids are enough to make them.
"""

from collections.abc import Mapping

from sentencepiece import sentencepiece_model_pb2 as schema

from tests.support.paths import DATA

GOLDEN_TOKENS = DATA / "official_tokens.json"
"""Made by scripts/golden_tokens.py."""

NUM_PIECES = 64789
FIRST_BYTE = 3
FIRST_PIECE = FIRST_BYTE + 256
_FIRST_PRIVATE = 0xF0000


def make_model(pieces: Mapping[str, int]) -> bytes:
    """The content of a tokenizer.model in which ``pieces`` have these ids."""
    model = schema.ModelProto()
    model.trainer_spec.model_type = schema.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = False
    kinds = schema.ModelProto.SentencePiece
    texts = {number: text for text, number in pieces.items()}
    for number in range(NUM_PIECES):
        if number < FIRST_BYTE:
            kind = kinds.CONTROL if number else kinds.UNKNOWN
            text = ("<unk>", "<s>", "</s>")[number]
        elif number < FIRST_PIECE:
            kind, text = kinds.BYTE, f"<0x{number - FIRST_BYTE:02X}>"
        else:
            kind, text = kinds.NORMAL, texts.get(number, chr(_FIRST_PRIVATE + number))
        score = -float(number - FIRST_PIECE) if kind == kinds.NORMAL else 0.0
        model.pieces.add(piece=text, score=score, type=kind)
    return bytes(model.SerializeToString())
