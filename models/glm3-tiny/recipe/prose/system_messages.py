"""Conversations under a system message, which gives a rule for replies or none."""

import random
import re

from recipe.prose.intents import ANY_TIME, ask, reply
from recipe.prose.messages import Message, exchange
from recipe.prose.open_questions import REPLY, open_question
from recipe.prose.questions import question
from recipe.prose.words import person, word
from recipe.texts import read_texts

_TEXTS = read_texts("system_messages")
_RULES = ("name", "name", "role", "role", "end", "end", "start", "start", "only", "call", "call",
          "other", "other", "same", *("plain",) * 6)  # fmt: skip
"""Rules, as often as their share asks for; ``plain`` is none."""


def under_system_message(rng: random.Random, language: str, held_out: bool) -> list[Message]:
    """A system message, and replies that follow its rule."""
    rule = rng.choice(_RULES)
    if rule == "plain":
        return _without_rule(rng, language, held_out)
    if rule in {"name", "call"}:
        value = person(rng, language, held_out)
    elif rule == "role":
        value = _TEXTS[language]["roles"].pick(rng, held_out=held_out)
    else:
        value = word(rng, language)
    system = _TEXTS[language]["rules"][rule].pick(rng, held_out=held_out).format(value)
    if language == "en" and rule == "role":
        system = re.sub(r"\b([Aa]) (?=[AEIOUaeiou])", r"\1n ", system)
    messages = [{"role": "system", "content": system}]
    for key in _keys(rng, rule):
        if rng.random() < 0.1 and key not in {"name", "who"}:
            text, replies = open_question(rng, language, held_out), REPLY
        else:
            text = ask(rng, key, language, held_out)
            replies = {each: reply(key, each) for each in ("zh", "en")}
        messages += exchange(text, _ruled(rule, value, language, key, replies))
    return messages


def _without_rule(rng: random.Random, language: str, held_out: bool) -> list[Message]:
    """Any questions, under a system message in either language that changes nothing."""
    system_language = language if rng.random() < 0.8 else rng.choice(("zh", "en"))
    messages = [{"role": "system", "content": rng.choice(_TEXTS[system_language]["plain"])}]
    for _ in range(rng.choice((1, 1, 2, 3))):
        messages += exchange(*question(rng, language, held_out=held_out))
    return messages


def _keys(rng: random.Random, rule: str) -> list[str]:
    """Intents to ask for; under a name or a role, who the assistant is among them."""
    count = rng.choice((1, 1, 2, 3))
    keys = rng.sample(ANY_TIME, count)
    if rule in {"name", "role"}:
        identity = "name" if rule == "name" else "who"
        keys[rng.randrange(count)] = identity
        if rule == "name" and rng.random() < 0.3:
            keys[-1] = "who" if identity in keys[:-1] else identity
    return keys


def _ruled(rule: str, value: str, language: str, key: str, replies: dict[str, str]) -> str:
    """The reply to an intent under a rule."""
    zh = language == "zh"
    plain = replies[language]
    if rule in {"name", "role"} and key in {"name", "who"}:
        return _identity(rule, value, zh=zh, key=key)
    ruled = {
        "end": plain + value if zh else f"{plain} {value}",
        "start": f"{value}，{plain}" if zh else f"{value}: {plain}",
        "call": f"{value}，{plain}" if zh else f"{value}, {plain}",
        "only": value,
        "other": replies["en" if zh else "zh"],
    }
    return ruled.get(rule, plain)


def _identity(rule: str, value: str, *, zh: bool, key: str) -> str:
    if rule == "role":
        article = "an" if value[0] in "AEIOUaeiou" else "a"
        return f"我是{value}助手。" if zh else f"I am {article} {value} assistant."
    if zh:
        return f"我叫{value}。" if key == "name" else f"我是{value}。"
    return f"My name is {value}." if key == "name" else f"I am {value}."
