import pytest

from glm3edge.config.ranges import parse_ranges, parse_shares


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", set()), ("3", {3}), ("0-3,7", {0, 1, 2, 3, 7}), (" 2 - 2 , 1 ", {1, 2}), ("1,1", {1})],
)
def test_ranges(text: str, numbers: set[int]) -> None:
    assert parse_ranges(text) == numbers


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-1", "1-2-3", "0x1", "1.5", "0-10000"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        parse_ranges(text)


@pytest.mark.parametrize(
    ("text", "shares"), [("", ()), ("3,1", (3, 1)), (" 0.5 , 0 ", (0.5, 0)), ("1", (1,))]
)
def test_shares(text: str, shares: tuple[float, ...]) -> None:
    assert parse_shares(text) == shares


@pytest.mark.parametrize("text", ["a", "1,", "1,-1", "0,0", "nan", "inf,1"])
def test_what_are_no_shares_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="shares"):
        parse_shares(text)
