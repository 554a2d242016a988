"""Numbers as texts have them."""

_UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "K"))


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 file``, ``2 files``; ``plural`` is for nouns that take more than an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def abbreviated(number: int) -> str:
    """``number`` as model cards write it: ``6.2B``, ``36.1M``."""
    size, unit = next(((size, unit) for size, unit in _UNITS if number >= size), (1, ""))
    return f"{number / size:.1f}{unit}"
