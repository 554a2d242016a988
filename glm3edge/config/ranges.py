"""Parsers of number lists in options: ranges (``0-3,7``) and shares (``3,1``)."""

import math

_MOST = 9999


def parse_ranges(text: str) -> frozenset[int]:
    """Parse ranges to the set of their numbers; empty text is an empty set.

    Raises:
        ValueError: the syntax is wrong, or a range ends before it begins.
    """
    numbers: set[int] = set()
    for part in filter(None, map(str.strip, text.split(","))):
        first, dash, last = (word.strip() for word in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{part!r} is neither a number nor a range such as 0-3")
        end = int(last) if dash else int(first)
        if end < int(first):
            raise ValueError(f"the range {part} ends before it begins")
        if end > _MOST:
            raise ValueError(f"the range {part} goes beyond {_MOST}")
        numbers.update(range(int(first), end + 1))
    return frozenset(numbers)


def parse_shares(text: str) -> tuple[float, ...]:
    """Parse shares to a tuple of numbers; empty text is an empty tuple.

    Raises:
        ValueError: one is not a number or below 0, or all are 0.
    """
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    try:
        shares = tuple(float(word) for word in words)
    except ValueError:
        raise ValueError(f"{text!r} are not shares: write numbers such as 3,1") from None
    if any(not math.isfinite(share) or share < 0 for share in shares) or (
        shares and not sum(shares)
    ):
        raise ValueError(f"{text!r}: shares are numbers from 0 on, and not all are 0")
    return shares
