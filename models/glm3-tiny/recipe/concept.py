"""Concepts of tools: names, parameters, how people ask for them, what they answer."""

from collections.abc import Mapping
from dataclasses import dataclass

KINDS = (
    "city", "country", "person", "date", "time", "email", "phone", "url", "code", "ticker",
    "language", "currency", "title", "dish", "place", "company", "product", "text", "topic",
    "word", "room", "expression", "int:LOW:HIGH", "float:LOW:HIGH", "bool", "enum",
)  # fmt: skip
"""Kinds of values, as ``values.py`` draws them. ``LOW`` and ``HIGH`` are whole numbers."""


@dataclass(frozen=True)
class Both:
    """A text in Chinese and in English."""

    zh: str
    en: str

    def of(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Param:
    """A parameter of a tool.

    ``names`` are alternatives, the first of which is its slot in ``Concept.asks``. ``options`` are
    what an enum or a bool can be, and the words for it that fill the slot.
    """

    names: tuple[str, ...]
    kind: str
    description: Both
    options: Mapping[str | bool, Both] | None = None


@dataclass(frozen=True)
class Concept:
    """A tool in all its variants.

    ``asks`` are questions with ``{slot}`` for parameters: a question that leaves a slot out leaves
    the argument out, so a parameter that is in every question is a required one. ``results`` are
    what the tool may answer: JSON keys to kinds of values (or to a tuple of strings to choose
    from). ``is_coined`` says that its words mean nothing, so that no language has another's.
    """

    names: tuple[str, ...]
    descriptions: tuple[Both, ...]
    params: tuple[Param, ...]
    asks_zh: tuple[str, ...]
    asks_en: tuple[str, ...]
    results: tuple[Mapping[str, str | tuple[str, ...]], ...]
    is_coined: bool = False
