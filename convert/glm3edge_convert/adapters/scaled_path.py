"""`PATH[:SCALE]`, as adapters are named on command lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from glm3edge_convert.errors import ScaleError


@dataclass(frozen=True)
class ScaledPath:
    """An adapter, and what its change of the weights is multiplied with."""

    path: Path
    scale: float = 1.0

    @classmethod
    def parse(cls, text: str) -> ScaledPath:
        """What follows the last colon is the scale if it is a number and `text` is no path itself.

        Raises ScaleError for a scale that is not finite.
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
