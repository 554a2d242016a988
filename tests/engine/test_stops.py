import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.engine.stops import StopStrings


def run(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    finder = StopStrings(stops)
    out = ""
    for piece in pieces:
        text, stopped = finder.feed(piece)
        out += text
        if stopped:
            return out, True
    return out + finder.finish(), False


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        ([], "all of it", ("all of it", False)),
        (["STOP"], "before STOP after", ("before ", True)),
        (["。"], "第一句。第二句。", ("第一句", True)),
        (["bc", "b"], "abcd", ("a", True)),
        (["aab"], "aaab", ("a", True)),
        (["\n\n"], "one\ntwo\n\nthree", ("one\ntwo", True)),
        (["never"], "neve", ("neve", False)),
        ([""], "an empty stop string stops nothing", ("an empty stop string stops nothing", False)),
    ],
)
def test_every_split(stops: list[str], text: str, expected: tuple[str, bool]) -> None:
    for cut in range(len(text) + 1):
        assert run(stops, [text[:cut], text[cut:]]) == expected
    assert run(stops, list(text)) == expected


@given(st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.text("abc", max_size=30))
def test_agrees_with_looking_at_the_whole_text(stops: list[str], text: str) -> None:
    """Character by character, the stop string that is complete first wins."""
    ends = [(text.find(s) + len(s), text.find(s)) for s in stops if s in text]
    first_end = min((end for end, _ in ends), default=None)
    starts = [start for end, start in ends if end == first_end]
    expected = (text[: min(starts)], True) if starts else (text, False)
    assert run(stops, list(text)) == expected


def test_holds_back_no_more_than_it_must() -> None:
    finder = StopStrings(["stop"])
    assert finder.feed("a stable st") == ("a stable ", False)
    assert finder.feed("ate") == ("state", False)
