"""Vocabulary: what the protocol needs of a tokenizer, and ChatGLM3's special tokens in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Vocabulary(Protocol):
    """A tokenizer; ``glm3edge.llama.model.Model`` is one."""

    eos_id: int

    def tokenize(self, text: str) -> list[int]:
        """Ids of plain text, dummy prefix included, never a control token."""

    def control_token_id(self, text: str) -> int | None:
        """Id of the control token written ``text``."""


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
        find = _finder(vocabulary.control_token_id)
        return cls(
            gmask=find("[gMASK]"),
            sop=find("<|sop|>", "sop"),  # our converter's spelling, and llama.cpp's
            system=find("<|system|>"),
            user=find("<|user|>"),
            assistant=find("<|assistant|>"),
            observation=find("<|observation|>"),
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


def _finder(lookup: Callable[[str], int | None]) -> Callable[..., int]:
    def find(*spellings: str) -> int:
        for text in spellings:
            token_id = lookup(text)
            if token_id is not None:
                return token_id
        raise MissingTokenError(f"the vocabulary has no control token {spellings[0]}")

    return find
