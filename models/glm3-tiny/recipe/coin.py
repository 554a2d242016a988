"""Coined words, which cannot be remembered and so have to be copied."""

import random
import re

from recipe.catalogue import read_concepts
from recipe.texts import read_texts

HANZI = "".join(
    bytes((row, cell)).decode("gb2312")
    for row in range(0xB0, 0xD8)
    for cell in range(0xA1, 0xFF)
    if (row, cell) < (0xD7, 0xFA)
)
"""The 3,755 common characters of GB 2312, level 1."""

_SYLLABLES: list[str] = read_texts("coined_tools")["syllables"]
_ENGLISH: list[str] = sorted(
    {
        word
        for concept in read_concepts("everyday") + read_concepts("office")
        for text in (*concept.names, *concept.asks_en, *(d.en for d in concept.descriptions))
        for word in re.findall(r"[a-z]{4,}", text)
    }
)


def pseudo_word(rng: random.Random, low: int = 2, high: int = 4) -> str:
    """A lower-case word of ``low`` to ``high`` syllables that no dictionary has."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(low, high)))


def splice(rng: random.Random) -> str:
    """The head of one English word and the tail of another, so that real pieces are copied."""
    head, tail = rng.choice(_ENGLISH), rng.choice(_ENGLISH)
    return head[: rng.randint(2, 4)] + tail[-rng.randint(2, 4) :]


def identifier(rng: random.Random) -> str:
    """A name as programmers write them, of one to three words, coined or real."""
    words = [
        rng.choice((splice(rng), splice(rng), pseudo_word(rng, 1, 3), rng.choice(_ENGLISH)))
        for _ in range(rng.choice((1, 1, 2, 2, 3)))
    ]
    if rng.random() < 0.2:
        return words[0] + "".join(word.capitalize() for word in words[1:])
    return "_".join(words)


def hanzi(rng: random.Random, low: int, high: int) -> str:
    """``low`` to ``high`` random common characters."""
    return "".join(rng.choice(HANZI) for _ in range(rng.randint(low, high)))
