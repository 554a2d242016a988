"""Vocabulary: the tokenizer that the protocol needs, and ChatGLM3's special tokens in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from glm3edge.errors import InvalidRequestError


class Vocabulary(Protocol):
    """Tokenizer of a model; ``glm3edge.llama.model.Model`` is one."""

    vocab_size: int

    @property
    def eos_id(self) -> int:
        """Id of the token that ends a text."""

    def tokenize(self, text: str) -> list[int]:
        """Ids of plain text, dummy prefix included, never a control token."""

    def control_token_id(self, text: str) -> int | None:
        """Id of the control token written ``text``."""

    def piece(self, token_id: int) -> bytes:
        """Bytes that ``token_id`` stands for; empty for control tokens."""

    def token_name(self, token_id: int) -> bytes:
        """Bytes that ``token_id`` stands for, or how a control token is written."""


class MissingTokenError(ValueError):
    """A token of the chat format is missing: the model is not a ChatGLM3 chat model."""


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids of the control tokens that structure prompts and replies."""

    gmask: int
    sop: int
    system: int
    user: int
    assistant: int
    observation: int
    eos: int

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> "SpecialTokens":
        """Look the tokens up.

        Raises:
            MissingTokenError: one is not there.
        """
        return cls(
            gmask=_find(vocabulary, "[gMASK]"),
            sop=_find(vocabulary, "<|sop|>", "sop"),  # of our files, and of checkpoints
            system=_find(vocabulary, "<|system|>"),
            user=_find(vocabulary, "<|user|>"),
            assistant=_find(vocabulary, "<|assistant|>"),
            observation=_find(vocabulary, "<|observation|>"),
            eos=vocabulary.eos_id,
        )

    @property
    def prefix(self) -> tuple[int, int]:
        """Tokens that every text begins with."""
        return (self.gmask, self.sop)

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a reply."""
        return frozenset({self.eos, self.user, self.observation})


def check_token_ids(
    token_ids: Iterable[int], vocabulary: Vocabulary, *, param: str, hint: str = ""
) -> None:
    """Check the token ids in the field ``param`` of a request; ``hint`` says what to do instead.

    Raises:
        InvalidRequestError: there is no such token.
    """
    largest = max(token_ids, default=0)
    if largest >= vocabulary.vocab_size:
        message = f"{param} has token id {largest}; this model's are below {vocabulary.vocab_size}"
        raise InvalidRequestError(f"{message}{hint and f': {hint}'}", param=param)


def text_of(
    token_ids: Sequence[int], vocabulary: Vocabulary, *, with_control_tokens: bool = False
) -> str:
    """Text of ``token_ids``: the reverse of ``tokenize()``, without its dummy prefix.

    Bytes that are no UTF-8 become U+FFFD. Control tokens are left out unless they are asked for.
    """
    pieces = [vocabulary.piece(token_id) for token_id in token_ids]
    first = next((number for number, piece in enumerate(pieces) if piece), None)
    if with_control_tokens:
        names = {token_id: vocabulary.token_name(token_id) for token_id in set(token_ids)}
        pieces = [names[token_id] for token_id in token_ids]
    if first is not None and _has_dummy_prefix(vocabulary):
        pieces[first] = pieces[first].removeprefix(b" ")
    return b"".join(pieces).decode("utf-8", errors="replace")


def _has_dummy_prefix(vocabulary: Vocabulary) -> bool:
    """Whether the tokenizer puts a space before every text."""
    return vocabulary.piece(vocabulary.tokenize("a")[0]).startswith(b" ")


def _find(vocabulary: Vocabulary, *spellings: str) -> int:
    for text in spellings:
        token_id = vocabulary.control_token_id(text)
        if token_id is not None:
            return token_id
    raise MissingTokenError(f"the vocabulary has no control token {spellings[0]}")
