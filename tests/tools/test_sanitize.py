"""Text from outside."""

import pytest

from glm3edge.tools.sanitize import printable, shortened


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好\n\tworld 😀", "你好\n\tworld 😀"),
        ("a\r\nb\rc", "a\nbc"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "xlink"),
        ("\x1bc\x1b(B\x9b2Jx", "c(B2Jx"),
        ("\x00\x08\x7f\u202eabc\u2066", "abc"),
        ("half \ud83d", "half ?"),
        ("\x1b]0;never ended", ""),
    ],
)
def test_nothing_commands_the_terminal(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_long_text_keeps_its_ends() -> None:
    assert shortened("x" * 10, 10) == "x" * 10
    assert shortened("a" * 50 + "b" * 50, 10) == "aaaaa\n[... 90 characters left out ...]\nbbbbb"
