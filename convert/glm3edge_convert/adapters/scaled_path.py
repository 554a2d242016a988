"""Adapter and its scale, as command lines have them: ``PATH[:SCALE]``."""

import math
from dataclasses import dataclass
from pathlib import Path

from glm3edge_convert.errors import ScaleError


@dataclass(frozen=True)
class ScaledPath:
    """Path of an adapter, and the factor of its change of the weights."""

    path: Path
    scale: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "ScaledPath":
        """Parse ``PATH[:SCALE]``.

        What follows the last colon is the scale if it is a number and ``text`` is no path itself.

        Raises:
            ScaleError: the scale is not finite.
        """
        whole = Path(text).expanduser()
        head, _, tail = text.rpartition(":")
        scale = _number(tail)
        if not head or scale is None or whole.exists():
            return cls(whole)
        if not math.isfinite(scale):
            raise ScaleError(text, tail, "is not finite; write a number, such as 0.5")
        return cls(Path(head).expanduser(), scale)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
