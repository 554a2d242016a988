"""Vocabulary: what the protocol needs of a tokenizer, and ChatGLM3's special tokens in it."""

from dataclasses import dataclass
from typing import Protocol


class Vocabulary(Protocol):
    """A tokenizer; ``glm3edge.llama.model.Model`` is one."""

    eos_id: int
    vocab_size: int

    def tokenize(self, text: str) -> list[int]:
        """Ids of plain text, dummy prefix included, never a control token."""

    def control_token_id(self, text: str) -> int | None:
        """Id of the control token written ``text``."""

    def piece(self, token_id: int) -> bytes:
        """Bytes that ``token_id`` stands for; empty for control tokens."""

    def token_name(self, token_id: int) -> bytes:
        """Bytes that ``token_id`` stands for, or how a control token is written."""


class MissingTokenError(ValueError):
    """The vocabulary lacks a token of the chat format, so it is no ChatGLM3 chat model's."""


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
            sop=_find(vocabulary, "<|sop|>", "sop"),  # our converter's spelling, and llama.cpp's
            system=_find(vocabulary, "<|system|>"),
            user=_find(vocabulary, "<|user|>"),
            assistant=_find(vocabulary, "<|assistant|>"),
            observation=_find(vocabulary, "<|observation|>"),
            eos=vocabulary.eos_id,
        )

    @property
    def prefix(self) -> tuple[int, int]:
        """What every text begins with."""
        return (self.gmask, self.sop)

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a reply."""
        return frozenset({self.eos, self.user, self.observation})


def _find(vocabulary: Vocabulary, *spellings: str) -> int:
    for text in spellings:
        token_id = vocabulary.control_token_id(text)
        if token_id is not None:
            return token_id
    raise MissingTokenError(f"the vocabulary has no control token {spellings[0]}")
