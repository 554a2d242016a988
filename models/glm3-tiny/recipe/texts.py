"""Texts and words that dialogues are made of, read from ``texts/*.json``.

In the files ``{"training": [...], "held_out": [...]}`` is a pool: what is held out is kept out of
training, for the evaluation.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "texts"


class Pool(NamedTuple):
    """Texts to choose from, or the characters of a string."""

    training: Sequence[str]
    held_out: Sequence[str]

    def pick(self, rng: random.Random, *, held_out: bool) -> str:
        """A random one of those for training, or of those held out."""
        return rng.choice(self.held_out if held_out else self.training)


def read_texts(name: str) -> Any:
    """The contents of ``texts/NAME.json``, its pools as ``Pool``."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"), object_hook=_pool)


def _pool(value: dict[str, Any]) -> Any:
    return Pool(**value) if value.keys() == {"training", "held_out"} else value
