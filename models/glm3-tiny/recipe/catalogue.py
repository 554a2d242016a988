"""Catalogue of tools, read from ``tools/*.txt``.

A tool is a block of lines ``key: value``, and a blank line ends it; lines with ``#`` are comments:

    tool: get_weather weather_forecast          names
    zh: 查询城市的天气                            descriptions, in pairs
    en: Get the weather of a city
    param: city place | city | 城市名称 | name of the city
    param: unit | enum | 温度单位 | unit of temperature | c=摄氏度=Celsius | f=华氏度=Fahrenheit
    ask-zh: {city}天气怎么样                      ``{first name}`` is the parameter's slot
    ask-en: What is the weather in {city}?
    result: temperature=int:-10:35 ; sky=sunny,rainy

A parameter is its names, its kind (``concept.KINDS``), what it is in Chinese and in English, and,
of an enum or a bool, its options as ``VALUE=Chinese words=English words``. A result has for every
key a kind, or words to choose from; a single word has a comma after it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from recipe.concept import KINDS, Both, Concept, Param

TRAINED = (
    "everyday", "office", "booking", "computing", "control", "culture", "home", "lookup",
    "paperwork", "science", "search", "town", "trade", "travel",
)  # fmt: skip
"""Files of the tools that a model is trained on.

It is evaluated with those of ``held-out``; ``development`` is for looking at its errors.
"""

_FOLDER = Path(__file__).parent / "tools"
_KEYS = ("tool", "zh", "en", "param", "ask-zh", "ask-en", "result")
_BOOLS: dict[str, bool] = {"true": True, "false": False}
_SLOT = re.compile(r"\{(\w+)\}")


def read_concepts(name: str) -> tuple[Concept, ...]:
    """The tools of ``tools/NAME.txt``.

    Raises:
        ValueError: a block is not a tool; the message names the file and the line.
    """
    path = _FOLDER / f"{name}.txt"
    concepts = []
    for number, block in _blocks(path.read_text(encoding="utf-8")):
        try:
            concepts.append(_concept(block))
        except ValueError as exc:
            raise ValueError(f"{path.name}, the tool of line {number}: {exc}") from exc
    return tuple(concepts)


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    block: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.startswith("#"):
            continue
        if line.strip():
            block.append(line.strip())
        elif block:
            yield number - len(block), block
            block = []


def _concept(block: list[str]) -> Concept:
    found: dict[str, list[str]] = {key: [] for key in _KEYS}
    for line in block:
        key, _, value = line.partition(": ")
        if key not in found:
            raise ValueError(f"what is {line!r}?")
        found[key].append(value.strip())
    if len(found["tool"]) != 1 or len(found["zh"]) != len(found["en"]):
        raise ValueError("a tool has one line of names, and as many descriptions in each language")
    if not all(found[key] for key in ("zh", "ask-zh", "ask-en", "result")):
        raise ValueError("descriptions, questions or results are missing")
    params = tuple(_param(text) for text in found["param"])
    slots = {param.names[0] for param in params}
    for text in found["ask-zh"] + found["ask-en"]:
        if strange := set(_SLOT.findall(text)) - slots:
            raise ValueError(f"no parameter is named {strange.pop()} in {text!r}")
    return Concept(
        names=tuple(found["tool"][0].split()),
        descriptions=tuple(Both(*pair) for pair in zip(found["zh"], found["en"], strict=True)),
        params=params,
        asks_zh=tuple(found["ask-zh"]),
        asks_en=tuple(found["ask-en"]),
        results=tuple(
            dict(_result(part) for part in text.split(" ; ")) for text in found["result"]
        ),
    )


def _param(text: str) -> Param:
    parts = [part.strip() for part in text.split("|")]
    if len(parts) < 4:
        raise ValueError(f"a parameter is NAMES | KIND | CHINESE | ENGLISH: {text!r}")
    names, kind, zh, en, *options = parts
    _check_kind(kind)
    if bool(options) != (kind in {"enum", "bool"}):
        raise ValueError(f"an enum and a bool have options, others have none: {text!r}")
    said = dict(_option(option, kind) for option in options)
    return Param(tuple(names.split()), kind, Both(zh, en), said or None)


def _option(text: str, kind: str) -> tuple[str | bool, Both]:
    parts = [part.strip() for part in text.split("=")]
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"an option is VALUE=CHINESE=ENGLISH: {text!r}")
    return (_BOOLS[parts[0]] if kind == "bool" else parts[0]), Both(*parts[1:])


def _result(text: str) -> tuple[str, str | tuple[str, ...]]:
    key, _, value = (part.strip() for part in text.partition("="))
    if "," in value:
        return key, tuple(word for word in value.split(",") if word)
    _check_kind(value)
    if value in {"bool", "enum"}:
        raise ValueError(f"what {key!r} can be is said in words, by commas")
    return key, value


def _check_kind(kind: str) -> None:
    if kind not in KINDS and not re.fullmatch(r"(int|float):-?\d+:\d+", kind):
        raise ValueError(f"there is no kind {kind!r}")
