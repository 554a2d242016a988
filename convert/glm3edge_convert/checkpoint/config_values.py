"""Values of a config.json, checked one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glm3edge_convert.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_COUNT = 2**31 - 1  # llama.cpp keeps sizes in 32-bit integers


def count(path: Path, config: Mapping[str, Any], key: str, *, default: int | None = None) -> int:
    """A positive whole number. Raises ConfigError."""
    value = config.get(key, default)
    if type(value) is not int or not 0 < value <= MAX_COUNT:
        raise ConfigError(path, key, f"is {value!r} and must be a positive whole number")
    return value


def positive(path: Path, config: Mapping[str, Any], key: str, *, default: float) -> float:
    """A positive number. Raises ConfigError."""
    value = config.get(key, default)
    if type(value) not in {int, float} or not 0 < value <= MAX_COUNT:
        raise ConfigError(path, key, f"is {value!r} and must be a positive number")
    return float(value)


def check_options(path: Path, config: Mapping[str, Any], fixed: Mapping[str, object]) -> None:
    """Raise ConfigError for an option of `fixed` that has another value than the one there."""
    for key, supported in fixed.items():
        value = config.get(key)
        if value is not None and value != supported:
            raise ConfigError(path, key, f"is {value!r}, and only {supported!r} can be converted")
