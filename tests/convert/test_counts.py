"""Numbers as texts have them."""

import pytest

from glm3edge_convert.counts import abbreviated, counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1234, "1,234 files")]
)
def test_counted(number: int, text: str) -> None:
    assert counted(number, "file") == text


def test_other_plurals() -> None:
    assert counted(1, "matrix", "matrices") == "1 matrix"
    assert counted(2, "matrix", "matrices") == "2 matrices"


@pytest.mark.parametrize(
    ("number", "text"),
    [(999, "999.0"), (1500, "1.5K"), (7_460_000, "7.5M"), (6_243_584_000, "6.2B")],
)
def test_abbreviated(number: int, text: str) -> None:
    assert abbreviated(number) == text
