"""Conversations in which the user states facts and asks for them later."""

import random

from recipe.coin import pseudo_word
from recipe.prose.intents import ANY_TIME, ask, reply
from recipe.prose.messages import Message, exchange
from recipe.prose.phrasing import dress, dress_question
from recipe.prose.words import person, word
from recipe.texts import read_texts

_TEXTS = read_texts("facts")


def recall(rng: random.Random, language: str, held_out: bool) -> list[Message]:
    """Facts, a question between, and questions for the facts; some were never stated."""
    texts = _TEXTS[language]
    facts = rng.sample(tuple(texts["facts"]), rng.choice((1, 1, 1, 2)))
    if rng.random() < 0.3 and "name" not in facts:
        facts[0] = "name"
    messages: list[Message] = []
    values = {fact: _value(rng, fact, language, held_out) for fact in facts}
    if rng.random() >= 0.08:
        for fact, value in values.items():
            stated = texts["facts"][fact]["statements"].pick(rng, held_out=held_out).format(value)
            stated = dress(rng, stated, language, question=False)
            messages += exchange(stated, _acknowledgment(fact, value, language))
    are_stated = bool(messages)
    if are_stated and rng.random() < 0.4:
        key = rng.choice(ANY_TIME)
        messages += exchange(ask(rng, key, language, held_out), reply(key, language))
    rng.shuffle(facts)
    for fact in facts[: 1 if len(messages) > 4 else 2]:
        question = texts["facts"][fact]["questions"].pick(rng, held_out=held_out)
        answer = texts["facts"][fact]["answer"].format(values[fact])
        messages += exchange(
            dress_question(rng, question, language), answer if are_stated else texts["unknown"]
        )
    return messages


def _value(rng: random.Random, fact: str, language: str, held_out: bool) -> str:
    texts = _TEXTS[language]
    if fact == "name":
        return person(rng, language, held_out)
    if fact in {"cat", "dog"}:
        if rng.random() < 0.5:
            return str(texts["pets"].pick(rng, held_out=held_out))
        return pseudo_word(rng).capitalize() if language == "en" else word(rng, "zh")
    if fact in {"number", "age"}:
        number = rng.randint(5, 95) if fact == "age" else rng.randrange(10 ** rng.randint(1, 6))
        return str(number)
    if fact == "word":
        return word(rng, language)
    return str(texts["places" if fact == "city" else "likes"].pick(rng, held_out=held_out))


def _acknowledgment(fact: str, value: str, language: str) -> str:
    if fact == "name":
        return f"你好，{value}。" if language == "zh" else f"Nice to meet you, {value}."
    return f"好的，我记住了：{value}。" if language == "zh" else f"Got it: {value}."
