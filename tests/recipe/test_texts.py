"""Texts of the recipe: pools, and what is held out of them."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from recipe.prose.intents import KEYS, ask, reply
from recipe.texts import FOLDER, Pool, read_texts

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def pools(value: Any) -> Iterator[Pool]:
    if isinstance(value, Pool):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from pools(each)


@pytest.mark.parametrize("name", NAMES)
def test_held_out_texts_are_not_trained_on(name: str) -> None:
    for pool in pools(read_texts(name)):
        assert pool.training
        assert pool.held_out
        assert not set(pool.training) & set(pool.held_out)


def test_a_pool_gives_what_is_asked_for() -> None:
    rng = random.Random(1)
    pool = Pool("abc", "de")
    assert {pool.pick(rng, held_out=False) for _ in range(50)} == set("abc")
    assert {pool.pick(rng, held_out=True) for _ in range(50)} == set("de")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_intent_has_questions_and_a_reply(language: str) -> None:
    rng = random.Random(1)
    for key in KEYS:
        assert reply(key, language)
        assert ask(rng, key, language, held_out=False)
        assert ask(rng, key, language, held_out=True)
