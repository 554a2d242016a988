"""Vocabulary of a checkpoint, through SentencePiece, and its comparison with a file's."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import sentencepiece

from glm3edge.chatglm3.prompt import Role, Turn, encode_turns
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary
from glm3edge.commands.verify.errors import MismatchError
from glm3edge.llama.model import TokenEntry
from glm3edge_convert.errors import NotACheckpointError, TokenizerError

SPECIAL_TOKENS = (
    "[MASK]",
    "[gMASK]",
    "[sMASK]",
    "sop",
    "eop",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
)
"""Tokens that tokenization_chatglm.py adds after the pieces, in its order."""

# Our converter renames some control tokens, so that no text can spell them.
_SPELLINGS = {
    "<|unk|>": "<unk>",
    "<|bos|>": "<s>",
    "<|eos|>": "</s>",
    "<|sop|>": "sop",
    "<|eop|>": "eop",
}
_SCORE_TOLERANCE = 1e-6

_TAGS = "".join(SPECIAL_TOKENS[5:])
CONVERSATIONS: tuple[tuple[Turn, ...], ...] = (
    (Turn(Role.USER, "你好"),),
    (Turn(Role.USER, f"Ignore that.\n{_TAGS}\n[gMASK]sop </s><unk><0x0A>"),),
    (Turn(Role.SYSTEM, "  leading, trailing  "), Turn(Role.USER, "\t1,024 × 0.5 = 512\n\n\n")),
    (
        Turn(Role.USER, "🙂👩‍👩‍👧‍👦🇨🇳 ﷽ Ω≈ç√ 한국어 日本語 עברית ก็"),
        Turn(Role.ASSISTANT, "𠮷\u200b\ufeff\u00a0é"),
    ),
    (
        Turn(Role.USER, "北京和 Berlin 的天气？"),
        Turn(Role.ASSISTANT, "```python\ntool_call(city='北京')\n```", "get_weather"),
        Turn(Role.OBSERVATION, '{"temperature": -3.5, "天气": "小雪"}'),
        Turn(Role.ASSISTANT, "零下三点五度，小雪。"),
        Turn(Role.USER, "def f(x):\n    return {k: v**2 for k, v in x.items()}  # 平方\n"),
    ),
    (Turn(Role.USER, ""), Turn(Role.ASSISTANT, "\x00\x7f\\n\r\n<|user|>")),
)
"""Prompts that are tokenized besides the text: role tags as text, scripts, code, bytes, spaces."""


class ListedVocabulary(Vocabulary, Protocol):
    """Vocabulary with an entry for each token."""

    def entry(self, token_id: int) -> TokenEntry:
        """Text, kind and score of a token."""


class CheckpointVocabulary:
    """Vocabulary of a checkpoint: tokenizer.model, and what tokenization_chatglm.py adds to it."""

    def __init__(self, folder: Path, vocab_size: int) -> None:
        """Read ``folder``'s tokenizer; ``vocab_size`` is config.json's ``padded_vocab_size``.

        Raises:
            ConvertError: it is missing, or no SentencePiece model.
        """
        path = folder / "tokenizer.model"
        if not path.is_file():
            raise NotACheckpointError(folder, "tokenizer.model is missing")
        try:
            self._processor = sentencepiece.SentencePieceProcessor(str(path))
        except RuntimeError as exc:
            raise TokenizerError(path, "is not a SentencePiece model; download it again") from exc
        self.vocab_size = vocab_size
        self.eos_id: int = self._processor.eos_id()
        self._num_pieces = len(self._processor)

    def tokenize(self, text: str) -> list[int]:
        """Token ids of plain text, dummy prefix included."""
        ids: list[int] = self._processor.encode(text.encode("utf-8", errors="replace").decode())
        return ids

    def control_token_id(self, text: str) -> int | None:
        """Id of the special token ``text``; None if there is none."""
        return self._num_pieces + SPECIAL_TOKENS.index(text) if text in SPECIAL_TOKENS else None

    def entry(self, token_id: int) -> TokenEntry:
        """Text, kind and score of a token, from tokenizer.model or ``SPECIAL_TOKENS``."""
        if token_id < self._num_pieces:
            text, score = self._processor.id_to_piece(token_id), self._processor.get_score(token_id)
            return TokenEntry(text, self._kind(token_id), score)
        number = token_id - self._num_pieces
        if number < len(SPECIAL_TOKENS):
            return TokenEntry(SPECIAL_TOKENS[number], "control", 0.0)
        return TokenEntry(f"[PAD{token_id}]", "unused", 0.0)

    def piece(self, token_id: int) -> bytes:
        """Bytes of a token's text; empty for control and unused tokens."""
        entry = self.entry(token_id)
        if entry.kind == "byte":
            return bytes([int(entry.text[3:5], 16)])
        return entry.text.replace("\u2581", " ").encode() if entry.kind == "normal" else b""

    def token_name(self, token_id: int) -> bytes:
        """Bytes of a token's text, or of its name for control and unused tokens."""
        return self.piece(token_id) or self.entry(token_id).text.encode()

    def _kind(self, token_id: int) -> str:
        for kind in ("unknown", "control", "unused", "byte"):
            if getattr(self._processor, f"is_{kind}")(token_id):
                return kind
        return "normal"


def check_entries(path: Path, found: ListedVocabulary, original: ListedVocabulary) -> None:
    """Compare the text and kind of every token, and the score of pieces.

    Raises:
        MismatchError: naming the first that differs, and how many do.
    """
    if found.vocab_size != original.vocab_size:
        raise MismatchError(
            path,
            f"it has {found.vocab_size} tokens where the original has {original.vocab_size}: "
            "it comes from another model or tokenizer",
        )
    ids = range(original.vocab_size)
    different = [n for n in ids if not _same(found.entry(n), original.entry(n))]
    if different:
        first = different[0]
        raise MismatchError(
            path,
            f"{len(different)} of {len(ids)} tokens differ from the original's: the first is "
            f"{first}, {_describe(found.entry(first))} instead of "
            f"{_describe(original.entry(first))}",
        )
    if found.eos_id != original.eos_id:
        text = f"a text ends with token {found.eos_id} where the original has {original.eos_id}"
        raise MismatchError(path, text)


def check_ids(path: Path, found: Vocabulary, original: Vocabulary, lines: Iterable[str]) -> int:
    """Compare the token ids of ``CONVERSATIONS`` as prompts, and of ``lines``.

    Returns:
        Number of texts that were compared.

    Raises:
        MismatchError: quoting the first text that has other ids.
    """
    num_texts = 0
    for text, ids, expected in _encoded(found, original, lines):
        num_texts += 1
        if ids == expected:
            continue
        place = next(
            (n for n, (a, b) in enumerate(zip(ids, expected, strict=False)) if a != b),
            min(len(ids), len(expected)),
        )
        raise MismatchError(
            path,
            f"it gives {text[:40]!r} other token ids than the original: from number {place + 1} "
            f"on {ids[place : place + 3]} instead of {expected[place : place + 3]}",
        )
    return num_texts


def _encoded(
    found: Vocabulary, original: Vocabulary, lines: Iterable[str]
) -> Iterator[tuple[str, list[int], list[int]]]:
    special, expected = SpecialTokens.of(found), SpecialTokens.of(original)
    for turns in CONVERSATIONS:
        text = turns[0].content
        yield text, encode_turns(turns, found, special), encode_turns(turns, original, expected)
    for line in lines:
        yield line, found.tokenize(line), original.tokenize(line)


def _same(found: TokenEntry, original: TokenEntry) -> bool:
    if found.kind != original.kind:
        return False
    if found.kind == "unused":  # its text is never used
        return True
    if found.kind == "normal" and abs(found.score - original.score) > _SCORE_TOLERANCE:
        return False
    return _spelling(found) == _spelling(original)


def _spelling(entry: TokenEntry) -> str:
    special = entry.kind in {"control", "unknown"}
    return _SPELLINGS.get(entry.text, entry.text) if special else entry.text


def _describe(entry: TokenEntry) -> str:
    return f"{entry.kind} {entry.text!r} ({entry.score:g})"
