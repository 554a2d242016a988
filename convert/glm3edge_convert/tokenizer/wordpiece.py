"""Vocabulary of BERT as GGUF stores it: WordPiece.

    vocab.txt, or the vocabulary in tokenizer.json     tokens, by id
    tokenizer.json, or tokenizer_config.json           how text is normalized

llama.cpp marks the beginning of a word (U+2581) where BERT marks what continues one (##).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFWriter

from glm3edge_convert.checkpoint.json_files import read_object
from glm3edge_convert.errors import NotACheckpointError, TokenizerError, UnreadableFileError
from glm3edge_convert.files import read_text
from glm3edge_convert.tokenizer.sentencepiece import Piece, PieceType

VOCAB_FILE, TOKENIZER_FILE, CONFIG_FILE = "vocab.txt", "tokenizer.json", "tokenizer_config.json"
WORD_START, CONTINUATION = "\u2581", "##"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class WordPiece:
    """Tokens by id, and how text is normalized."""

    tokens: tuple[Piece, ...]
    lowercase: bool
    strip_accents: bool

    def add_to(self, writer: GGUFWriter) -> None:
        """Write the vocabulary to a GGUF file's metadata."""
        pad, unk, cls, sep, mask = (self._id_of(text) for text in SPECIAL_TOKENS)
        writer.add_tokenizer_model("bert")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([token.text for token in self.tokens])
        writer.add_token_types([int(token.type) for token in self.tokens])
        writer.add_bool("tokenizer.ggml.normalizer.lowercase", self.lowercase)
        writer.add_bool("tokenizer.ggml.normalizer.strip_accents", self.strip_accents)
        writer.add_pad_token_id(pad)
        writer.add_unk_token_id(unk)
        writer.add_bos_token_id(cls)
        writer.add_eos_token_id(sep)
        writer.add_sep_token_id(sep)
        writer.add_mask_token_id(mask)

    def _id_of(self, text: str) -> int:
        return next(index for index, token in enumerate(self.tokens) if token.text == text)


def read_wordpiece(folder: Path, vocab_size: int) -> WordPiece:
    """The vocabulary of a BERT checkpoint folder, padded to ``vocab_size`` tokens.

    Raises:
        NotACheckpointError: there is no vocabulary.
        TokenizerError: llama.cpp could not tokenize as BERT does.
    """
    tokenizer = _read_optional(folder / TOKENIZER_FILE)
    path, texts = _read_texts(folder, tokenizer)
    if missing := set(SPECIAL_TOKENS) - set(texts):
        raise TokenizerError(path, f"lacks {min(missing)}, which BERT's vocabularies have")
    if len(texts) > vocab_size:
        problem = f"has {len(texts)} tokens, and config.json's vocab_size is {vocab_size}"
        raise TokenizerError(path, f"{problem}; use the files of one model")
    tokens = [_piece(text) for text in texts]
    tokens += [
        Piece(f"[PAD{index}]", 0.0, PieceType.UNUSED) for index in range(len(texts), vocab_size)
    ]
    if len({token.text for token in tokens}) < vocab_size:
        raise TokenizerError(path, "has a token twice; it cannot be used")
    lowercase, strip_accents = _normalization(folder, tokenizer)
    return WordPiece(tuple(tokens), lowercase, strip_accents)


def _read_optional(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}


def _read_texts(folder: Path, tokenizer: Mapping[str, Any]) -> tuple[Path, list[str]]:
    """The file that has the tokens, and their texts by id."""
    path = folder / VOCAB_FILE
    if path.is_file():
        try:
            # Not splitlines(): some vocabularies have line separators as tokens.
            return path, read_text(path).removesuffix("\n").split("\n")
        except ValueError as exc:
            raise TokenizerError(path, "is not UTF-8; download it again") from exc
        except OSError as exc:
            raise UnreadableFileError(path, exc) from exc
    path = folder / TOKENIZER_FILE
    match tokenizer.get("model"):
        case {"type": "WordPiece", "vocab": dict(ids), "continuing_subword_prefix": "##"}:
            if set(ids.values()) == set(range(len(ids))):
                return path, sorted(ids, key=ids.__getitem__)
            raise TokenizerError(path, "has gaps in its ids; download it again")
    raise NotACheckpointError(folder, f"it has no {VOCAB_FILE} and no WordPiece {TOKENIZER_FILE}")


def _piece(text: str) -> Piece:
    if text in SPECIAL_TOKENS:
        return Piece(text, 0.0, PieceType.CONTROL)
    if text.startswith(CONTINUATION):
        return Piece(text.removeprefix(CONTINUATION), 0.0, PieceType.NORMAL)
    return Piece(WORD_START + text, 0.0, PieceType.NORMAL)


def _normalization(folder: Path, tokenizer: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether text is lower-cased, and whether accents are stripped."""
    normalizer = tokenizer.get("normalizer")
    if isinstance(normalizer, dict):
        path = folder / TOKENIZER_FILE
        if normalizer.get("type") != "BertNormalizer":
            raise TokenizerError(path, f"normalizes text with {normalizer.get('type')!r}")
        lowercase, accents = normalizer.get("lowercase", True), normalizer.get("strip_accents")
        splits_chinese = normalizer.get("handle_chinese_chars", True)
    else:
        path = folder / CONFIG_FILE
        config = _read_optional(path)
        lowercase, accents = config.get("do_lower_case", True), config.get("strip_accents")
        splits_chinese = config.get("tokenize_chinese_chars", True)
    if not splits_chinese:
        raise TokenizerError(path, "leaves Chinese characters together, and llama.cpp does not")
    return bool(lowercase), bool(lowercase if accents is None else accents)
