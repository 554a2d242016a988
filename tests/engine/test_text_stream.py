import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.engine.text_stream import Detokenizer, StopStrings


def run(stops: list[str], pieces: list[str]) -> tuple[str, str | None]:
    finder = StopStrings(stops)
    out = ""
    for piece in pieces:
        text, stop = finder.feed(piece)
        out += text
        if stop is not None:
            return out, stop
    return out + finder.finish(), None


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        ([], "all of it", ("all of it", None)),
        (["STOP"], "before STOP after", ("before ", "STOP")),
        (["。"], "第一句。第二句。", ("第一句", "。")),
        (["bc", "b"], "abcd", ("a", "b")),
        (["aab"], "aaab", ("a", "aab")),
        (["所有张量的类型", "量"], "所有张量的类型", ("所有张", "量")),
        (["a\n\nb", "\n"], "a\n\nb", ("a", "\n")),
        (["🦊!", "x🦊"], "x🦊!", ("", "x🦊")),
        (["c", "bc"], "abc", ("a", "bc")),
        (["\n\n"], "one\ntwo\n\nthree", ("one\ntwo", "\n\n")),
        (["never"], "neve", ("neve", None)),
        ([""], "an empty stop string stops nothing", ("an empty stop string stops nothing", None)),
    ],
)
def test_every_split(stops: list[str], text: str, expected: tuple[str, str | None]) -> None:
    for cut in range(len(text) + 1):
        assert run(stops, [text[:cut], text[cut:]]) == expected
    assert run(stops, list(text)) == expected


@given(
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    st.lists(st.text("abc", max_size=9), max_size=9),
)
def test_agrees_with_looking_at_the_whole_text(stops: list[str], pieces: list[str]) -> None:
    """The stop string that is complete first wins, whatever the tokens are."""
    text = "".join(pieces)
    ends = [(text.find(s) + len(s), text.find(s)) for s in stops if s in text]
    first_end = min((end for end, _ in ends), default=None)
    starts = [start for end, start in ends if end == first_end]
    start = min(starts, default=None)
    expected = (text, None) if start is None else (text[:start], text[start:first_end])
    assert run(stops, list(text)) == expected
    assert run(stops, pieces) == expected


def test_holds_back_no_more_than_it_must() -> None:
    finder = StopStrings(["stop"])
    assert finder.feed("a stable st") == ("a stable ", None)
    assert finder.feed("ate") == ("state", None)


@given(st.text(), st.integers(1, 4))
def test_text_survives_any_split(text: str, size: int) -> None:
    data = text.encode("utf-8", errors="replace")
    detokenizer = Detokenizer()
    pieces = [detokenizer.feed(data[i : i + size]) for i in range(0, len(data), size)]
    assert "".join(pieces) + detokenizer.finish() == data.decode()
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in data.decode()


@given(st.binary())
def test_any_bytes_become_text(data: bytes) -> None:
    detokenizer = Detokenizer()
    text = "".join(detokenizer.feed(bytes([byte])) for byte in data) + detokenizer.finish()
    assert text == data.decode("utf-8", errors="replace")


def test_finish_starts_afresh() -> None:
    detokenizer = Detokenizer()
    assert detokenizer.feed("好".encode()[:2]) == ""
    assert detokenizer.finish() == "\ufffd"
    assert detokenizer.feed("好".encode()) == "好"
