"""Mix of dialogues in each phase of the training."""

import random

from recipe import calls
from recipe.dialogue import Dialogue, say
from recipe.prose.conversations import conversation

_PROSE = {"tools": 0.0, "all": 0.2, "polish": 0.5}
"""The share of dialogues without tools, by phase."""
_ENUMS, _ENGLISH = 0.25, 0.25


def phase_dialogue(rng: random.Random, phase: str) -> Dialogue:
    """A random dialogue of ``phase``.

    prose: without tools. choose: two to five tools, most without parameters, each asked for in
    turn. tools: one to four tools and up to six exchanges, because a prompt with tools is long and
    the replies are what is learned from. all: tools and some prose. polish: as much of either.
    """
    language = "zh" if rng.random() < 0.55 else "en"
    if phase == "choose":
        num_tools = rng.randint(2, 5)
        exchanges = ["result"] * num_tools
        exchanges[rng.randrange(num_tools)] = rng.choice(("result", "prose", "no_tool"))
        return calls.sample(rng, exchanges, language, num_tools=num_tools, coined=0.4, bare=0.9)
    if phase == "prose" or rng.random() < _PROSE[phase]:
        messages = conversation(rng, language)
        return Dialogue("chat", tuple(say(m["role"], m["content"]) for m in messages))
    num_tools = rng.choice((1, 2, 2, 3, 3, 4))
    count = rng.choice((1, 3, 4, 5, 6))
    names, weights = list(calls.EXCHANGES), list(calls.EXCHANGES.values())
    exchanges = rng.choices(names, weights, k=count)
    return calls.sample(
        rng, exchanges, language, num_tools=num_tools, coined=0.4, enums=_ENUMS, english=_ENGLISH
    )
