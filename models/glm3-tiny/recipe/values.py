"""Values for the slots of questions and results, drawn from a wide distribution."""

import random
import zlib
from collections.abc import Callable, Sequence

from recipe.coin import hanzi, pseudo_word, splice
from recipe.texts import read_texts

Value = str | int | float | bool

_TEXTS: dict[str, dict[str, Sequence[str]]] = read_texts("values")
_ZH, _EN = _TEXTS["zh"], _TEXTS["en"]


def is_held_out(text: str) -> bool:
    """Whether ``text`` is one of the sixth of all values that only the evaluation uses."""
    return zlib.crc32(text.encode()) % 6 == 0


def draw(rng: random.Random, kind: str, language: str, *, held_out: bool = False) -> Value:
    """A value of ``kind`` (see ``concept.KINDS``, without bool and enum)."""
    if kind.startswith(("int:", "float:")):
        return _number(rng, kind, held_out=held_out)
    while True:
        value = _MAKERS[kind](rng, language == "zh")
        if is_held_out(value) == held_out or kind in _CLOSED:
            return value


_CLOSED = ("country", "language", "currency", "room")
"""Kinds with so few values that the model must know them all."""


def _number(rng: random.Random, kind: str, *, held_out: bool) -> int | float:
    name, low, high = kind.split(":")
    value: int | float
    for _ in range(50):
        if name == "int":
            value = rng.randint(int(low), int(high))
        else:
            value = round(rng.uniform(int(low), int(high)), rng.choice((1, 1, 2)))
        if is_held_out(str(value)) == held_out:
            break
    return value


def _city(rng: random.Random, zh: bool) -> str:
    if rng.random() < 0.35:
        return hanzi(rng, 1, 2) + rng.choice("州城山江阳海安县市") if zh else _name(rng)
    return rng.choice(_EN["cities"] if not zh or rng.random() < 0.1 else _ZH["cities"])


def _person(rng: random.Random, zh: bool) -> str:
    if zh and rng.random() < 0.9:
        return rng.choice(_ZH["surnames"]) + hanzi(rng, 1, 2)
    first = rng.choice(_EN["first_names"]) if rng.random() < 0.6 else _name(rng)
    return first if rng.random() < 0.5 else f"{first} {rng.choice(_EN['last_names'])}"


def _date(rng: random.Random, zh: bool) -> str:
    year, month, day = rng.randint(1950, 2035), rng.randint(1, 12), rng.randint(1, 28)
    iso = f"{year}-{month:02}-{day:02}"
    if zh:
        return rng.choice(
            (iso, f"{month}月{day}日", f"{month}月{day}日", f"{year}年{month}月{day}日")
        )
    name = _EN["months"][month - 1]
    return rng.choice((iso, f"{name} {day}", f"{day} {name}", f"{name} {day}, {year}"))


def _time(rng: random.Random, zh: bool) -> str:
    hour, minute = rng.randint(0, 23), rng.randint(0, 59)
    clock = f"{hour}:{minute:02}"
    if zh:
        part = rng.choice(("早上", "上午", "下午", "晚上", ""))
        return rng.choice((clock, f"{part}{hour % 12 + 1}点", f"{part}{hour % 12 + 1}点半"))
    half = rng.choice((" am", " pm", "am", "pm"))
    return rng.choice((clock, f"{hour % 12 + 1}{half}", f"{hour % 12 + 1}:{minute:02}{half}"))


def _email(rng: random.Random, zh: bool) -> str:
    tail = rng.choice(("", str(rng.randint(1, 99)), "." + pseudo_word(rng, 1)))
    host = f"{pseudo_word(rng)}.{rng.choice(('com', 'cn', 'org', 'net'))}"
    return f"{pseudo_word(rng)}{tail}@{host}"


def _phone(rng: random.Random, zh: bool) -> str:
    return rng.choice(("13", "15", "18", "555", "020")) + _digits(rng, 6, 9)


def _url(rng: random.Random, zh: bool) -> str:
    word = pseudo_word(rng)
    path = rng.choice(("", f"/{word}", f"/{word}/{rng.randint(1, 999)}"))
    return f"https://{pseudo_word(rng)}.{rng.choice(('com', 'org', 'cn', 'io'))}{path}"


def _code(rng: random.Random, zh: bool) -> str:
    return _letters(rng, 1, 3) + rng.choice(("", "", "-")) + _digits(rng, 2, 6)


def _ticker(rng: random.Random, zh: bool) -> str:
    return _letters(rng, 2, 4) if rng.random() < 0.7 else _digits(rng, 6, 6)


def _dish(rng: random.Random, zh: bool) -> str:
    if rng.random() < 0.3:
        return hanzi(rng, 2, 3) if zh else pseudo_word(rng)
    return rng.choice(_texts(zh)["dishes"])


def _place(rng: random.Random, zh: bool) -> str:
    if zh:
        return hanzi(rng, 2, 3) + rng.choice(_ZH["place_kinds"])
    return f"{_name(rng)} {rng.choice(_EN['place_kinds'])}"


def _company(rng: random.Random, zh: bool) -> str:
    if zh:
        return hanzi(rng, 2, 3) + rng.choice(_ZH["company_kinds"])
    return rng.choice((_name(rng), f"{_name(rng)} {rng.choice(_EN['company_kinds'])}"))


def _product(rng: random.Random, zh: bool) -> str:
    if rng.random() < 0.3:
        return f"{_name(rng)} {rng.randint(2, 99)}"
    return _phrase(rng, zh, 1, 2)


def _title(rng: random.Random, zh: bool) -> str:
    return hanzi(rng, 2, 5) if zh else " ".join(word.capitalize() for word in _words(rng, 1, 3))


def _word(rng: random.Random, zh: bool) -> str:
    if zh and rng.random() < 0.7:
        return rng.choice(_ZH["words"]) if rng.random() < 0.4 else hanzi(rng, 2, 4)
    return rng.choice((rng.choice(_EN["words"]), pseudo_word(rng), splice(rng)))


def _expression(rng: random.Random, zh: bool) -> str:
    space = rng.choice(("", " "))
    numbers = [rng.randint(1, 10 ** rng.randint(1, 4)) for _ in range(rng.randint(2, 4))]
    text = str(numbers[0])
    for number in numbers[1:]:
        text += f"{space}{rng.choice('+-*/')}{space}{number}"
    return f"({text})*{rng.randint(2, 99)}" if rng.random() < 0.15 else text


_MAKERS: dict[str, Callable[[random.Random, bool], str]] = {
    "city": _city,
    "country": lambda rng, zh: rng.choice(_texts(zh)["countries"]),
    "person": _person,
    "date": _date,
    "time": _time,
    "email": _email,
    "phone": _phone,
    "url": _url,
    "code": _code,
    "ticker": _ticker,
    "language": lambda rng, zh: rng.choice(_texts(zh)["languages"]),
    "currency": lambda rng, zh: rng.choice(_texts(zh)["currencies"]),
    "title": _title,
    "dish": _dish,
    "place": _place,
    "company": _company,
    "product": _product,
    "text": lambda rng, zh: _phrase(rng, zh, 2, 4),
    "topic": lambda rng, zh: _phrase(rng, zh, 1, 2),
    "word": _word,
    "room": lambda rng, zh: rng.choice(_texts(zh)["rooms"]),
    "expression": _expression,
}


def _texts(zh: bool) -> dict[str, Sequence[str]]:
    return _ZH if zh else _EN


def _name(rng: random.Random) -> str:
    return (pseudo_word(rng, 2, 3) if rng.random() < 0.5 else splice(rng)).capitalize()


def _digits(rng: random.Random, low: int, high: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(rng.randint(low, high)))


def _letters(rng: random.Random, low: int, high: int) -> str:
    return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(low, high)))


def _words(rng: random.Random, low: int, high: int) -> list[str]:
    count = rng.randint(low, high)
    return [rng.choice(_EN["words"]) if rng.random() < 0.7 else splice(rng) for _ in range(count)]


def _phrase(rng: random.Random, zh: bool, low: int, high: int) -> str:
    if not zh:
        return " ".join(_words(rng, low, high))
    parts = range(rng.randint(low, high))
    return "".join(
        rng.choice(_ZH["words"]) if rng.random() < 0.6 else hanzi(rng, 1, 3) for _ in parts
    )
