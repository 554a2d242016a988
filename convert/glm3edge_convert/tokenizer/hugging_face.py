"""ChatGLM3's vocabulary as Hugging Face's fast tokenizers read it, which vLLM's grammars need.

    tokenizer.json           BPE with byte fallback; special tokens as added ones, with their ids
    tokenizer_config.json    the class that reads it, and the end of a text

SentencePiece joins the two neighbors whose piece has the highest score, whatever they are. BPE has
a ranked list of the pairs that may be joined instead, so each piece is listed with all pairs that
make it, in the order of the scores.

Texts never become special tokens (``split_special_tokens``): whoever could spell ``<|user|>`` could
forge a turn. The two that words contain, sop and eop, are spelled as in a GGUF file.
"""

from collections.abc import Sequence
from typing import Any

from glm3edge_convert.tokenizer.sentencepiece import Piece, PieceType
from glm3edge_convert.tokenizer.vocab import EOS_ID, SPECIAL_TOKENS, UNK_ID, Vocabulary

TOKENIZER_FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
SPACE = "\u2581"
"""What SentencePiece writes for a space."""


def tokenizer_json(vocabulary: Vocabulary) -> dict[str, Any]:
    """Content of tokenizer.json."""
    pieces = vocabulary.tokens[: vocabulary.num_pieces]
    tokens = vocabulary.tokens[: vocabulary.num_pieces + len(SPECIAL_TOKENS)]
    escape = _replace(" ", SPACE)
    decoders = [_replace(SPACE, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
    normalizers = [escape]
    if vocabulary.add_space_prefix:
        normalizers.insert(0, {"type": "Prepend", "prepend": SPACE})
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _special(number, token.text)
            for number, token in enumerate(tokens)
            if token.type not in {PieceType.NORMAL, PieceType.BYTE}
        ],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": pieces[UNK_ID].text,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece.text: number for number, piece in enumerate(pieces)},
            "merges": _merges(pieces),
        },
    }


def tokenizer_config(vocabulary: Vocabulary) -> dict[str, Any]:
    """Content of tokenizer_config.json."""
    unknown = vocabulary.tokens[UNK_ID].text
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": vocabulary.tokens[EOS_ID].text,
        "unk_token": unknown,
        "pad_token": unknown,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }


def _replace(old: str, new: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def _special(number: int, text: str) -> dict[str, Any]:
    return {
        "id": number,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _merges(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """All pairs of symbols that make a piece, those of the highest score first."""
    ids = {
        piece.text: number for number, piece in enumerate(pieces) if piece.type is PieceType.NORMAL
    }
    pairs = [
        (-pieces[number].score, ids[text[:at]], ids[text[at:]])
        for text, number in ids.items()
        for at in range(1, len(text))
        if text[:at] in ids and text[at:] in ids
    ]
    return [(pieces[first].text, pieces[second].text) for _, first, second in sorted(pairs)]
