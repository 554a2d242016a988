"""Names, words and phrases that conversations are about."""

import random

from recipe.coin import hanzi, pseudo_word
from recipe.texts import Pool, read_texts

_TEXTS = read_texts("names")
_SURNAMES: Pool = _TEXTS["zh"]["surnames"]
_GIVEN: Pool = _TEXTS["zh"]["given_names"]
_FIRST: Pool = _TEXTS["en"]["first_names"]
_LAST: Pool = _TEXTS["en"]["last_names"]
_WORDS_ZH: list[str] = _TEXTS["zh"]["words"]
_WORDS_EN: list[str] = _TEXTS["en"]["words"]


def person(rng: random.Random, language: str, held_out: bool) -> str:
    """A name of a person."""
    kind = rng.random()
    if language == "en" or kind < 0.12:
        first = (
            pseudo_word(rng).capitalize()
            if rng.random() < 0.15
            else _FIRST.pick(rng, held_out=held_out)
        )
        return f"{first} {_LAST.pick(rng, held_out=held_out)}" if rng.random() < 0.3 else first
    given = _GIVEN.pick(rng, held_out=held_out)
    if kind < 0.25:
        return rng.choice(("小", "阿")) + given
    if kind < 0.65:
        given += _GIVEN.pick(rng, held_out=held_out)
    return _SURNAMES.pick(rng, held_out=held_out) + given


def word(rng: random.Random, language: str) -> str:
    """A word, real or coined."""
    if language == "zh":
        if rng.random() < 0.5:
            return rng.choice(_WORDS_ZH)
        return hanzi(rng, 1, 3)
    return rng.choice(_WORDS_EN) if rng.random() < 0.7 else pseudo_word(rng)


def phrase(rng: random.Random, language: str) -> str:
    """A number, letters or some words."""
    kind = rng.random()
    if kind < 0.1:
        return str(rng.randrange(10 ** rng.randint(1, 9)))
    if kind < 0.18:
        return "".join(
            rng.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(rng.randint(3, 8))
        )
    if kind < 0.24 and language == "zh":
        return " ".join(rng.choice(_WORDS_EN) for _ in range(rng.randint(1, 4)))
    words = [word(rng, language) for _ in range(rng.randint(1, 5 if language == "zh" else 6))]
    if len(words) > 2 and rng.random() < 0.25:
        words[len(words) // 2] += "，" if language == "zh" else ","
    return ("" if language == "zh" else " ").join(words)
