"""Vocabulary of XLM-RoBERTa as GGUF stores it: SentencePiece unigrams in fairseq's order.

ids   0 <s>, 1 <pad>, 2 </s>, 3 <unk>     instead of the file's <unk>, <s>, </s>
then  the pieces of sentencepiece.bpe.model, each one later than in the file
last  <mask>
"""

from dataclasses import dataclass
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

MODEL_FILE = "sentencepiece.bpe.model"
NUM_REPLACED = 3  # <unk>, <s>, </s>
FIRST_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
BOS_ID, PAD_ID, EOS_ID, UNK_ID = range(4)


@dataclass(frozen=True)
class Unigram:
    """Tokens by id with their log probabilities, and how text is normalized."""

    tokens: tuple[Piece, ...]
    normalization_rules: bytes
    add_space_prefix: bool
    remove_extra_spaces: bool

    def add_to(self, writer: GGUFWriter) -> None:
        """Write the vocabulary to a GGUF file's metadata."""
        writer.add_tokenizer_model("t5")  # GGUF's name for unigrams
        writer.add_tokenizer_pre("default")
        writer.add_token_list([token.text for token in self.tokens])
        writer.add_token_scores([token.score for token in self.tokens])
        writer.add_token_types([int(token.type) for token in self.tokens])
        writer.add_add_space_prefix(self.add_space_prefix)
        writer.add_remove_extra_whitespaces(self.remove_extra_spaces)
        if self.normalization_rules:
            writer.add_precompiled_charsmap(self.normalization_rules)
        writer.add_bos_token_id(BOS_ID)
        writer.add_eos_token_id(EOS_ID)
        writer.add_sep_token_id(EOS_ID)
        writer.add_unk_token_id(UNK_ID)
        writer.add_pad_token_id(PAD_ID)
        writer.add_mask_token_id(len(self.tokens) - 1)
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(True)
        writer.add_add_sep_token(True)  # between the texts of a pair, for llama.cpp's own server


def read_unigram(folder: Path, vocab_size: int) -> Unigram:
    """The vocabulary of an XLM-RoBERTa checkpoint folder, which has ``vocab_size`` tokens.

    Raises:
        NotACheckpointError: there is no model file.
        TokenizerError: it is of another kind.
    """
    path = folder / MODEL_FILE
    model = read_model(path)
    _check(path, model)
    specials = [
        Piece(text, 0.0, PieceType.UNKNOWN if text == "<unk>" else PieceType.CONTROL)
        for text in FIRST_TOKENS
    ]
    mask = Piece("<mask>", 0.0, PieceType.CONTROL)
    tokens = (*specials, *model.pieces[NUM_REPLACED:], mask)
    if len(tokens) != vocab_size:
        problem = f"makes {len(tokens)} tokens, and config.json's vocab_size is {vocab_size}"
        raise TokenizerError(path, f"{problem}; use the files of one model")
    return Unigram(
        tokens, model.normalization_rules, model.add_dummy_prefix, model.remove_extra_whitespaces
    )


def _check(path: Path, model: SentencePieceModel) -> None:
    types = [piece.type for piece in model.pieces]
    problems = {
        "is not a unigram model": model.model_type is not ModelType.UNIGRAM,
        "does not escape whitespace": not model.escape_whitespaces,
        "marks whitespace at the end of words": model.whitespace_suffix,
        "falls back to bytes": PieceType.BYTE in types,
        "does not start with <unk>, <s>, </s>": types[:NUM_REPLACED]
        != [PieceType.UNKNOWN, PieceType.CONTROL, PieceType.CONTROL],
    }
    for problem, found in problems.items():
        if found:
            raise TokenizerError(path, f"{problem}, unlike XLM-RoBERTa's {MODEL_FILE}")
