"""Open questions, about the world, which all get the reply that they are beyond the model."""

import random

from recipe.prose.phrasing import dress
from recipe.texts import read_texts

_TEXTS = read_texts("open_questions")
REPLY = {language: _TEXTS[language]["reply"] for language in ("zh", "en")}


def open_question(rng: random.Random, language: str, held_out: bool) -> str:
    """A question that no small model can answer."""
    template = _TEXTS[language]["templates"].pick(rng, held_out=held_out)
    subjects = _TEXTS[language]["subjects"]
    values = {name: pool.pick(rng, held_out=held_out) for name, pool in subjects.items()}
    cities = subjects["city"][held_out]
    values["city2"] = rng.choice([city for city in cities if city != values["city"]])
    values["a"], values["b"] = (str(rng.randint(2, 10 ** rng.randint(1, 4))) for _ in "ab")
    return dress(rng, template.format(**values), language)
