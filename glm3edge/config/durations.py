"""Parser of durations in options: ``90s``, ``10m``, ``1h30m``."""

import re

_UNITS = {"h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?=.)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def parse_duration(text: str) -> int:
    """Seconds of a duration, whose seconds need no unit.

    Raises:
        ValueError: the syntax is wrong.
    """
    found = _DURATION.fullmatch("".join(text.split()))
    if found is None:
        raise ValueError(f"{text!r} is not a duration: write 90s, 10m or 1h30m")
    return sum(int(n or 0) * size for n, size in zip(found.groups(), _UNITS.values(), strict=True))
