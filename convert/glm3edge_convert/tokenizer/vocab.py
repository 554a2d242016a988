"""Vocabulary of ChatGLM3: tokenizer.model, a SentencePiece BPE model, as GGUF stores it.

    ids      0 <unk>, 1 <s>, 2 </s>, bytes, pieces    from tokenizer.model
    then     SPECIAL_TOKENS                           from tokenization_chatglm.py
    then     [PAD<id>]                                up to padded_vocab_size

llama.cpp joins characters into any token whose text it knows, control tokens included, while
SentencePiece joins into ordinary pieces only. A token that must not come out of plain text
therefore needs a text that no sequence of joins reaches. "sop" and "eop" are reached ("s" + "op",
"e" + "op"), so these two tokens are spelled ``<|sop|>`` and ``<|eop|>`` in the output; the role
tags and masks keep their own texts. Every vocabulary is checked for this.

llama.cpp's own converter writes the same tokens under other texts, LLAMA_CPP_TEXTS.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gguf import GGUFWriter

from glm3edge_convert.errors import TokenizerError
from glm3edge_convert.tokenizer.sentencepiece import (
    ModelType,
    Piece,
    PieceType,
    SentencePieceModel,
    read_model,
)

TOKENIZER_FILE = "tokenizer.model"
TOKENIZER_MODEL = "llama"  # GGUF's name for SentencePiece BPE
TOKENIZER_PRE = "chatglm-spm"

SPECIAL_TOKENS = (
    "[MASK]",
    "[gMASK]",
    "[sMASK]",
    "<|sop|>",
    "<|eop|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
)
UNK_ID, BOS_ID, EOS_ID = 0, 1, 2
FIRST_PIECES = (
    Piece("<unk>", 0.0, PieceType.UNKNOWN),
    Piece("<s>", 0.0, PieceType.CONTROL),
    Piece("</s>", 0.0, PieceType.CONTROL),
)
NUM_BYTES = 256
MAX_PADDING = 2**16  # tokens without a text; ChatGLM3 has 230
# Spellings in place of texts of tokenizer.model that plain text would reach.
SAFE_TEXTS = {"<unk>": "<|unk|>", "<s>": "<|bos|>", "</s>": "<|eos|>"}
# Texts of llama.cpp's own converter, and those of the same tokens here.
LLAMA_CPP_TEXTS = {"<bos>": "<s>", "<eos>": "</s>", "sop": "<|sop|>", "eop": "<|eop|>"}


@dataclass(frozen=True)
class Vocabulary:
    """Tokens as GGUF stores them; a token's id is its position.

    Attributes:
        tokens: the tokens, padding included.
        num_pieces: number of those that are from tokenizer.model.
        add_space_prefix: whether text is tokenized with a space before it.
    """

    tokens: tuple[Piece, ...]
    num_pieces: int
    add_space_prefix: bool

    @property
    def num_used(self) -> int:
        """Number of tokens without the padding."""
        return self.num_pieces + len(SPECIAL_TOKENS)

    def is_special(self, token_id: int) -> bool:
        """Whether a token is one of ``SPECIAL_TOKENS``."""
        return self.num_pieces <= token_id < self.num_used

    def id_of(self, special_token: str) -> int:
        """The id of one of ``SPECIAL_TOKENS``."""
        return self.num_pieces + SPECIAL_TOKENS.index(special_token)

    def add_to(self, writer: GGUFWriter) -> None:
        """Write the vocabulary to a GGUF file's metadata."""
        writer.add_tokenizer_model(TOKENIZER_MODEL)
        writer.add_tokenizer_pre(TOKENIZER_PRE)
        writer.add_token_list([token.text for token in self.tokens])
        writer.add_token_scores([token.score for token in self.tokens])
        writer.add_token_types([int(token.type) for token in self.tokens])
        writer.add_bos_token_id(BOS_ID)
        writer.add_eos_token_id(EOS_ID)
        # A reply also ends where the next turn or a tool's result begins.
        writer.add_eot_token_id(self.id_of("<|user|>"))
        writer.add_eom_token_id(self.id_of("<|observation|>"))
        writer.add_unk_token_id(UNK_ID)
        writer.add_pad_token_id(UNK_ID)
        writer.add_add_bos_token(False)
        writer.add_add_eos_token(False)
        writer.add_add_space_prefix(self.add_space_prefix)


def read_vocabulary(folder: Path, vocab_size: int) -> Vocabulary:
    """The vocabulary of a checkpoint folder, padded to ``vocab_size`` tokens.

    Raises:
        NotACheckpointError: there is no tokenizer.model.
        UnreadableFileError: it may not be read.
        TokenizerError: llama.cpp could not tokenize as SentencePiece does.
    """
    path = folder / TOKENIZER_FILE
    model = read_model(path)
    _check_model(path, model)
    return _build(path, model, vocab_size)


def respell(path: Path, texts: Sequence[str], types: Sequence[int]) -> tuple[Piece, ...]:
    """Spell the tokens of a file of llama.cpp's own converter as ``read_vocabulary`` does.

    Args:
        path: the file, for messages.
        texts: its tokens' texts.
        types: its tokens' types.

    Returns:
        The tokens without scores, which are the same.

    Raises:
        TokenizerError: the tokens are not what that converter makes of ChatGLM3's tokenizer.
    """
    texts = [LLAMA_CPP_TEXTS.get(text, text) for text in texts]
    num_pieces = texts.index(SPECIAL_TOKENS[0]) if SPECIAL_TOKENS[0] in texts else 0
    tokens = [Piece(text, 0.0, PieceType(n)) for text, n in zip(texts, types, strict=True)]
    pieces = [*FIRST_PIECES, *tokens[len(FIRST_PIECES) : num_pieces]]
    expected = _with_special_tokens(pieces, len(tokens))
    if texts != [token.text for token in expected]:
        raise TokenizerError(path, "has other special tokens than ChatGLM3")
    if [piece.type for piece in pieces].count(PieceType.BYTE) != NUM_BYTES:
        raise TokenizerError(path, "lacks byte fallback")
    return _checked(path, expected)


def _check_model(path: Path, model: SentencePieceModel) -> None:
    """Refuse models that llama.cpp's SentencePiece tokenizer cannot express."""
    types = [piece.type for piece in model.pieces]
    problems = {
        "is not a BPE model": model.model_type is not ModelType.BPE,
        "normalises text": bool(model.normalization_rules),
        "removes whitespace": model.remove_extra_whitespaces,
        "does not escape whitespace": not model.escape_whitespaces,
        "marks whitespace at the end of words": model.whitespace_suffix,
        "lacks byte fallback": not model.byte_fallback or types.count(PieceType.BYTE) != NUM_BYTES,
        "does not start with <unk>, <s>, </s>": types[: EOS_ID + 1]
        != [PieceType.UNKNOWN, PieceType.CONTROL, PieceType.CONTROL],
        "has unused pieces": PieceType.UNUSED in types,
    }
    for problem, found in problems.items():
        if found:
            raise TokenizerError(path, f"{problem}, which ChatGLM3's tokenizer.model does not")


def _build(path: Path, model: SentencePieceModel, vocab_size: int) -> Vocabulary:
    num_used = len(model.pieces) + len(SPECIAL_TOKENS)
    if not num_used <= vocab_size <= num_used + MAX_PADDING:
        raise TokenizerError(
            path,
            f"has {len(model.pieces)} pieces, {num_used} tokens with the special ones, and "
            f"config.json's padded_vocab_size is {vocab_size}; use the files of one model",
        )
    tokens = _checked(path, _with_special_tokens(model.pieces, vocab_size))
    return Vocabulary(tokens, len(model.pieces), model.add_dummy_prefix)


def _with_special_tokens(pieces: Sequence[Piece], vocab_size: int) -> list[Piece]:
    num_used = len(pieces) + len(SPECIAL_TOKENS)
    specials = [Piece(text, 0.0, PieceType.CONTROL) for text in SPECIAL_TOKENS]
    padding = [Piece(f"[PAD{i}]", 0.0, PieceType.UNUSED) for i in range(num_used, vocab_size)]
    return [*pieces, *specials, *padding]


def _checked(path: Path, tokens: list[Piece]) -> tuple[Piece, ...]:
    made = _with_safe_texts(tokens)
    _check_texts(path, made)
    return made


def _with_safe_texts(tokens: list[Piece]) -> tuple[Piece, ...]:
    texts = {token.text for token in tokens}
    unsafe = {text for text in SAFE_TEXTS if _can_be_joined(text, texts)}
    return tuple(
        Piece(SAFE_TEXTS[token.text], token.score, token.type) if token.text in unsafe else token
        for token in tokens
    )


def _check_texts(path: Path, tokens: tuple[Piece, ...]) -> None:
    """Check that texts are unique (llama.cpp aborts otherwise) and special ones out of reach."""
    texts: set[str] = set()
    for token in tokens:
        if token.text in texts:
            raise TokenizerError(
                path, f"has a piece {token.text!r} twice or as a special token; it cannot be used"
            )
        texts.add(token.text)
    for token in tokens:
        ordinary = token.type in {PieceType.NORMAL, PieceType.USER_DEFINED}
        if not ordinary and _can_be_joined(token.text, texts):
            raise TokenizerError(
                path, f"has pieces that join into the special token {token.text!r}; it is not safe"
            )


def _can_be_joined(text: str, texts: Collection[str]) -> bool:
    """Whether joining characters can give ``text``, each result between being in ``texts``."""

    @cache
    def joins(start: int, stop: int) -> bool:
        middles = range(start + 1, stop)
        return any(is_symbol(start, middle) and is_symbol(middle, stop) for middle in middles)

    @cache
    def is_symbol(start: int, stop: int) -> bool:
        return stop - start == 1 or (text[start:stop] in texts and joins(start, stop))

    return len(text) == 1 or joins(0, len(text))
