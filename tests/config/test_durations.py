"""Durations in options."""

import math

import pytest

from glm3edge.config.durations import parse_duration
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("90", 90), ("10m", 600), ("1h30m", 5400), ("1h 5s", 3605), ("0", 0)],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "m", "1.5h", "-1", "-5m", "10x", "5s 1m", "1m1m"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="write 90s, 10m or 1h30m"):
        parse_duration(text)


def test_settings() -> None:
    assert load_settings().idle_unload_seconds == math.inf
    assert load_settings(idle_unload="0").idle_unload_seconds == math.inf
    assert load_settings(idle_unload="10m").idle_unload_seconds == 600
    with pytest.raises(ConfigError, match="--idle-unload soon: 'soon' is not a duration"):
        load_settings(idle_unload="soon")
