"""Single questions, without tools, and their replies."""

import random

from recipe.prose.intents import KEYS, ask, reply
from recipe.prose.open_questions import REPLY, open_question
from recipe.prose.repetition import echo


def question(rng: random.Random, language: str, *, held_out: bool = False) -> tuple[str, str]:
    """A user's message without tools, and its reply."""
    kind = rng.random()
    if kind < 0.2:
        return open_question(rng, language, held_out), REPLY[language]
    if kind < 0.3:
        return echo(rng, language, held_out)
    key = rng.choice(KEYS)
    return ask(rng, key, language, held_out), reply(key, language)
