"""Coined tools, about things that do not exist: a model can only choose them by their text."""

import random
from typing import NamedTuple

from recipe.coin import hanzi, identifier, pseudo_word, splice
from recipe.concept import Both, Concept, Param
from recipe.texts import read_texts
from recipe.values import draw


class _Label(NamedTuple):
    """A verb or a noun: in names, in Chinese and in English."""

    name: str
    zh: str
    en: str


class _TypedParam(NamedTuple):
    """A parameter that questions name by its place in the sentence and the look of its value."""

    names: list[str]
    kind: str
    zh: str
    en: str
    phrase_zh: str
    phrase_en: str


_TEXTS = read_texts("coined_tools")
_KINDS: list[str] = _TEXTS["kinds"]
_VERBS = [_Label(**label) for label in _TEXTS["verbs"]]
_ASPECTS = [_Label(**label) for label in _TEXTS["aspects"]]
_LABELS = [_Label(**label) for label in _TEXTS["labels"]]
_UNITS = [Both(**unit) for unit in _TEXTS["units"]]
_TYPED = [_TypedParam(**param) for param in _TEXTS["typed_params"]]
_ASKS: dict[str, list[str]] = _TEXTS["asks"]
_SLOTS: dict[str, list[str]] = _TEXTS["slots"]


def nonce_concept(rng: random.Random, *, bare: bool = False, enums: float = 0.0) -> Concept:
    """A tool about a coined thing, with zero to three parameters; with none if it is ``bare``.

    Half of the tools have parameters that a question names by their labels, which say nothing of
    the kind of value; those of the other half have to be told by the kind. Of the latter a share of
    ``enums`` takes one of a few options, which only the definition tells.
    """
    verb, aspect = rng.choice(_VERBS), rng.choice(_ASPECTS)
    word = pseudo_word(rng, 2, 3) if rng.random() < 0.4 else splice(rng)
    zh, en = hanzi(rng, 2, 3) + aspect.zh, f"{word} {aspect.en}".strip()
    stem = "_".join(part for part in (verb.name, word, aspect.name) if part)
    tail = f"{word}_{aspect.name or verb.name}"
    names = (stem, tail, word + verb.name.capitalize(), stem)
    count = 0 if bare else rng.choice((0, 1, 1, 2, 2, 3))
    is_typed = rng.random() < 0.5
    slots = _typed_slots(rng, count, enums) if is_typed else _labelled_slots(rng, count)
    num_required = rng.randint(0, count) if count > 1 else count
    asks_zh, asks_en = [], []
    for _ in range(3):
        chosen = [s for i, s in enumerate(slots) if i < num_required or rng.random() < 0.6]
        rng.shuffle(chosen)
        head_zh = rng.choice(_ASKS["zh"]).format(verb=verb.zh, thing=zh)
        head_en = rng.choice(_ASKS["en"]).format(verb=verb.en.lower(), thing=en)
        zh_parts, en_parts = [slot.zh for slot in chosen], [slot.en for slot in chosen]
        if is_typed:
            cut = rng.choice((0, len(zh_parts), len(zh_parts)))
            asks_zh.append("".join([*zh_parts[:cut], head_zh, *zh_parts[cut:]]))
            asks_en.append(" ".join([head_en, *en_parts]))
        else:
            asks_zh.append("，".join([head_zh, *zh_parts]))
            asks_en.append(", ".join([head_en, *en_parts]))
    result = {
        (label.name if rng.random() < 0.6 else label.zh): rng.choice(_KINDS)
        for label in rng.sample(_LABELS, 1 if bare else rng.randint(1, 3))
    }
    return Concept(
        names=names,
        descriptions=(Both(f"{verb.zh}{zh}", f"{verb.en} the {en}"),),
        params=tuple(slot.param for slot in slots),
        asks_zh=tuple(asks_zh),
        asks_en=tuple(asks_en),
        results=(result,),
        is_coined=True,
    )


class _Slot(NamedTuple):
    """A parameter, and the part of a question that says it."""

    param: Param
    zh: str
    en: str


def _labelled_slots(rng: random.Random, count: int) -> list[_Slot]:
    """Parameters of any kind: only the label says where the value is."""
    slots = []
    for label in rng.sample(_LABELS, count):
        param = _param(rng, label)
        place = f"{{{param.names[0]}}}"
        zh = rng.choice(_SLOTS["zh"]).format(label=param.description.zh, slot=place)
        en = rng.choice(_SLOTS["en"]).format(label=param.description.en, slot=place)
        slots.append(_Slot(param, zh, en))
    return slots


def _typed_slots(rng: random.Random, count: int, enums: float) -> list[_Slot]:
    """Parameters of different kinds: the look of the value says where it is."""
    slots: list[_Slot] = []
    for typed in rng.sample(_TYPED, len(_TYPED)):
        if len(slots) == count:
            break
        name = rng.choice(typed.names)
        if any(name == slot.param.names[0] for slot in slots):
            continue
        if rng.random() < enums:
            slot = _enum_slot(rng)
            if not any(slot.param.names == other.param.names for other in slots):
                slots.append(slot)
            continue
        place = f"{{{name}}}"
        param = Param((name,), typed.kind, Both(typed.zh, typed.en))
        zh, en = typed.phrase_zh.format(place), typed.phrase_en.format(place)
        slots.append(_Slot(param, zh, en))
    return slots


def _enum_slot(rng: random.Random) -> _Slot:
    """A coined parameter that a question names by one of its options alone."""
    name = rng.choice((identifier(rng), rng.choice(_LABELS).name))
    kind = rng.choice(("word", "word", "letter", "number", "title", "city"))
    options: list[str] = []
    for index in range(rng.randint(2, 5)):
        if kind == "letter":
            options.append("ABCDE"[index])
        elif kind == "number":
            options.append(str(rng.randint(1, 99)))
        else:
            options.append(str(draw(rng, kind, rng.choice(("zh", "en")))))
    unit = rng.choice(_UNITS)
    has_unit = rng.random() < 0.5
    said: dict[str | bool, Both] = {
        text: Both(f"{text}{unit.zh}", f"{unit.en} {text}") if has_unit else Both(text, text)
        for text in options
    }
    place = f"{{{name}}}"
    about = Both(hanzi(rng, 2, 3), splice(rng))
    return _Slot(
        Param((name,), "enum", about, said),
        rng.choice(("{}的", "用{}", "{}", "在{}", "要{}")).format(place),
        rng.choice(("in {}", "with {}", "for {}", "on {}", "{}")).format(place),
    )


def _param(rng: random.Random, label: _Label) -> Param:
    """A parameter; a coined label shows in its name and its description."""
    if rng.random() < 0.4:
        name = identifier(rng)
        label = _Label(name, hanzi(rng, 2, 2), name.replace("_", " "))
    if rng.random() < 0.15:
        options = [
            pseudo_word(rng) if rng.random() < 0.5 else rng.choice("ABCDE") + str(i)
            for i in range(3)
        ]
        said: dict[str | bool, Both] = {text: Both(text, text) for text in options}
        return Param((label.name,), "enum", Both(label.zh, label.en), said)
    return Param((label.name,), rng.choice(_KINDS), Both(label.zh, label.en))
