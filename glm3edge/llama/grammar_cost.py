"""Measures of what a grammar costs llguidance to compile.

It follows rules by recursion, and ends the process where its stack overflows: at some 2,500 rules
on a stack of 8 MiB. Its time grows with the square of the symbols, but not with those of schemas.
"""

import re

_RULE = re.compile(r"^\s*[?!]*(\w+)[^\S:]*(?:[.\[{(][^:\n]*)?:", re.MULTILINE)
_WORD = re.compile(r"\w+")
_SYMBOL = re.compile(r'"(?:[^"\\]|\\.)*"|\w+')
_SCHEMA = re.compile(r"%json.*")


def num_symbols(grammar: str) -> int:
    """Number of names and texts in ``grammar``, without the schemas that stand on one line."""
    return sum(1 for _ in _SYMBOL.finditer(_SCHEMA.sub("", grammar)))


def rule_depth(grammar: str) -> int:
    """The most rules of ``grammar`` of which each refers to the next.

    Words in strings count as references too, so there may be fewer. A rule that refers to one
    above it ends there.
    """
    _, *parts = _RULE.split(grammar)
    names = set(parts[::2])
    used = {
        name: names.intersection(_WORD.findall(body))
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
    depths: dict[str, int] = {}
    for first in used:
        pending = [] if first in depths else [first]
        while pending:
            name = pending[-1]
            if name in depths:  # those that it refers to have been looked at
                depths[name] = 1 + max((depths[one] for one in used[name]), default=0)
                pending.pop()
            else:
                depths[name] = 0
                pending += [one for one in used[name] if one not in depths]
    return max(depths.values(), default=0)
