"""Which dialogues each phase of the training is made of."""

import random

from recipe import calls, prose
from recipe.dialogue import Dialogue, say


def phase_dialogue(rng: random.Random, phase: str) -> Dialogue:
    """A dialogue as ``phase`` wants it: short (one tool at most), tools (up to four), prose."""
    language = "zh" if rng.random() < 0.55 else "en"
    if phase == "prose" or (phase in ("short", "all") and rng.random() < 0.3):
        messages = prose.dialogue(rng, language)
        return Dialogue("chat", tuple(say(m["role"], m["content"]) for m in messages))
    num_tools = 1 if phase == "short" else rng.choice((1, 1, 2, 2, 3, 4))
    kind = calls.weighted_kind(rng)
    if phase == "short" and kind == "again":
        kind = "result"
    return calls.sample(rng, kind, language, num_tools=num_tools)
