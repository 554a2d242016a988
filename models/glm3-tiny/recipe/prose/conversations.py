"""Conversations of one to four questions."""

import random
from collections.abc import Callable

from recipe.prose.facts import recall
from recipe.prose.intents import (
    ANY_TIME,
    CLOSINGS,
    GREETINGS,
    OPENERS,
    TOPICS,
    ask,
    reply,
    topic_of,
)
from recipe.prose.messages import Message, exchange
from recipe.prose.open_questions import REPLY, open_question
from recipe.prose.repetition import echoes, repeated_replies
from recipe.prose.system_messages import under_system_message


def conversation(rng: random.Random, language: str, *, held_out: bool = False) -> list[Message]:
    """A conversation of 1 to 4 questions as OpenAI messages, ending with the assistant."""
    weights = [weight for _, weight in _SHAPES]
    (shape, _), *_ = rng.choices(_SHAPES, weights)
    return shape(rng, language, held_out)


def _about_itself(rng: random.Random, language: str, held_out: bool) -> list[Message]:
    """Intents, most of one topic."""
    count = rng.choice((1, 1, 1, 2, 2, 3, 4))
    topic = rng.choice(TOPICS) if rng.random() < 0.6 else ""
    keys = rng.sample([k for k in OPENERS if not topic or topic_of(k) == topic], count)
    if count > 1 and rng.random() < 0.25:
        keys[0] = rng.choice(GREETINGS)
    if count > 1 and rng.random() < 0.3:
        keys[-1] = rng.choice(CLOSINGS)
    messages: list[Message] = []
    last = ""
    for key in keys:
        messages += exchange(ask(rng, key, language, held_out, topic=last), reply(key, language))
        last = topic_of(key)
    return messages


def _about_the_world(rng: random.Random, language: str, held_out: bool) -> list[Message]:
    """Open questions, with intents between."""
    messages: list[Message] = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.2:
            key = rng.choice(ANY_TIME)
            messages += exchange(ask(rng, key, language, held_out), reply(key, language))
        messages += exchange(open_question(rng, language, held_out), REPLY[language])
    return messages[:8]


_SHAPES: tuple[tuple[Callable[[random.Random, str, bool], list[Message]], int], ...] = (
    (_about_itself, 40),
    (_about_the_world, 15),
    (recall, 15),
    (under_system_message, 25),
    (echoes, 10),
    (repeated_replies, 5),
)
"""Kinds of conversations, and their weights."""
