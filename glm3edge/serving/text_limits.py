"""Limits of text that is known to be too long before it is tokenized."""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property

from glm3edge import limits
from glm3edge.chatglm3.vocabulary import Vocabulary
from glm3edge.errors import ContextLengthExceededError, InvalidRequestError

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's, which a text may have, too
_SLICE_CHARS = 2**16  # counted without a pause for other threads


def check_text_bytes(texts: Iterable[str], *, param: str) -> None:
    """Check the length of all text of a request, in the field ``param``.

    Raises:
        InvalidRequestError: it would take too long to tokenize.
    """
    if sum(map(_num_bytes, texts)) > limits.MAX_TEXT_BYTES:
        message = f"{param} has more than {limits.MAX_TEXT_BYTES} bytes of text"
        raise InvalidRequestError(f"{message}; send less, or several requests", param=param)


class TextMeter:
    """Lower bounds of the tokens of texts, for a vocabulary of SentencePiece's BPE.

    A token has a longest text, and a character that is in no token's text has one for each byte.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """The vocabulary is read with the first text: 0.1 s for ChatGLM3's 65,024 tokens."""
        self._vocabulary = vocabulary

    def check(self, texts: Iterable[str], *, param: str, context_size: int | None = None) -> None:
        """Check the texts of the field ``param``, of which a context has to hold all, if any.

        Raises:
            InvalidRequestError: they would take too long to tokenize.
            ContextLengthExceededError: they have more tokens than the context, however they are
                tokenized.
        """
        texts = list(texts)
        check_text_bytes(texts, param=param)
        least = sum(map(self.least_tokens, texts))
        if context_size is not None and least > context_size:
            raise ContextLengthExceededError(
                num_prompt_tokens=least,
                num_new_tokens=0,
                context_size=context_size,
                param=param,
                is_least=True,
            )
        if least > limits.MAX_LEAST_TOKENS:
            message = f"{param} has more than {limits.MAX_LEAST_TOKENS} tokens"
            raise InvalidRequestError(f"{message}; send less, or several requests", param=param)

    def least_tokens(self, text: str) -> int:
        """Number of tokens that ``text`` has at least."""
        alphabet, longest = self._pieces
        counts: Counter[str] = Counter()
        for start in range(0, len(text), _SLICE_CHARS):
            piece = text[start : start + _SLICE_CHARS]
            counts.update(piece.encode(errors="replace").decode())  # as it is tokenized
        num_known = num_unknown = 0
        for character, count in counts.items():
            if character in alphabet:
                num_known += count * _num_bytes(character)
            else:
                num_unknown += count * _num_bytes(character)
        return num_unknown - (-num_known // longest)

    @cached_property
    def _pieces(self) -> tuple[frozenset[str], int]:
        """Characters of all tokens, and the bytes of the longest."""
        vocabulary = self._vocabulary
        pieces = [vocabulary.piece(token_id) for token_id in range(vocabulary.vocab_size)]
        longest = max(len(piece.replace(b" ", _SPACE.encode())) for piece in pieces)
        characters = frozenset("".join(piece.decode(errors="ignore") for piece in pieces))
        return characters | {_SPACE}, longest


def _num_bytes(text: str) -> int:
    return len(text.encode(errors="replace"))
