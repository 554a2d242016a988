"""Intents: questions that have one reply, in many phrasings, read from ``texts/intents.*.txt``.

@ key topic kind     the kind is q for a question, s for something else
= the reply          its lines are joined
- phrasing|phrasing
! phrasings that are held out of training
> phrasings that follow another question of the topic; the last is held out
"""

import random
import re
from dataclasses import dataclass

from recipe.prose.phrasing import dress
from recipe.texts import FOLDER, Pool

_SECTION = re.compile(r"^@ ", re.MULTILINE)


@dataclass(frozen=True)
class Intent:
    """A question in all its phrasings, and its reply.

    Attributes:
        topic: the topic, which intents share.
        question: whether it is a question.
        reply: the reply.
        asks: phrasings.
        follow_ups: phrasings after another question of the topic; there may be none.
    """

    topic: str
    question: bool
    reply: str
    asks: Pool
    follow_ups: Pool


def _read(language: str) -> dict[str, Intent]:
    text = (FOLDER / f"intents.{language}.txt").read_text("utf-8")
    intents: dict[str, Intent] = {}
    for section in _SECTION.split(text)[1:]:
        head, *lines = section.strip().splitlines()
        key, topic, kind = head.split()
        parts: dict[str, list[str]] = {mark: [] for mark in "=-!>"}
        for line in lines:
            parts[line[0]].append(line[2:])
        reply = ("" if language == "zh" else " ").join(parts["="])
        asks, held_out, follow_ups = ("|".join(parts[mark]).split("|") for mark in "-!>")
        if key in intents or not reply or len(asks) < 9 or len(held_out) != 3:
            raise ValueError(f"intent {key} is not complete")
        intents[key] = Intent(
            topic, kind == "q", reply, Pool(asks, held_out), Pool(follow_ups[:-1], follow_ups[-1:])
        )
    return intents


_INTENTS = {"zh": _read("zh"), "en": _read("en")}
KEYS = tuple(_INTENTS["zh"])
if tuple(_INTENTS["en"]) != KEYS:
    raise ValueError("the languages differ in intents")
TOPICS = tuple(sorted({intent.topic for intent in _INTENTS["zh"].values()}))
GREETINGS = ("hello", "morning", "evening", "howareyou")
CLOSINGS = ("thanks", "bye", "night", "ok", "praise")
ANY_TIME = tuple(k for k in KEYS if k not in (*GREETINGS, *CLOSINGS, "who", "name"))
"""Intents that may come anywhere in a conversation."""
OPENERS = tuple(k for k in KEYS if k not in ("night", "ok", "praise", "insult"))
"""Intents that may begin a conversation."""


def topic_of(key: str) -> str:
    """The topic of an intent."""
    return _INTENTS["zh"][key].topic


def ask(rng: random.Random, key: str, language: str, held_out: bool, *, topic: str = "") -> str:
    """A phrasing of an intent; ``topic`` is the one of the question before."""
    intent = _INTENTS[language][key]
    if intent.follow_ups.training and topic == intent.topic and rng.random() < 0.4:
        return dress(rng, intent.follow_ups.pick(rng, held_out=held_out), language)
    text = intent.asks.pick(rng, held_out=held_out)
    return dress(rng, text, language, question=intent.question)


def reply(key: str, language: str) -> str:
    """The reply to an intent."""
    return _INTENTS[language][key].reply
