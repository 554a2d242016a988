"""Text from outside."""

import json

import pytest

from glm3edge_convert.printable import error_line, json_text, one_line, printable, without_hidden

HIDDEN = [
    *("\x00", "\x08", "\x0d", "\x1b", "\x7f", "\x80", "\x9b", "\x9f"),  # C0, DEL, C1
    *("\xad", "\u034f", "\u061c", "\u115f", "\u180e", "\u3164", "\uffa0"),  # fillers
    *("\u200b", "\u200e", "\u200f", "\u2060", "\ufeff", "\ufff9"),  # zero width
    *("\u202a", "\u202e", "\u2066", "\u2069"),  # bidirectional
    *("\ufe00", "\U000e0001", "\U000e0041", "\U000e007f", "\U000e0100"),  # selectors, tags
]
PROSE = [
    "你好\n\tworld 😀",
    "👍🏽 👨\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3 नमस्ते\tcafé\n",
    "می\u200cخواهم　全角 \xa0",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, text) for text in PROSE),
        ("a\r\nb\rc", "a\nbc"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "xlink"),
        ("\x1bc\x1b(B\x9b2Jx", "c(B2Jx"),
        ("\x00\x08\x7f\u202eabc\u2066", "abc"),
        ("half \ud83d", "half ?"),
        ("\x1b]0;never ended", ""),
        ("a\u2028b\u2029c", "a\nb\nc"),
    ],
)
def test_nothing_commands_the_terminal(text: str, expected: str) -> None:
    assert printable(text) == expected


@pytest.mark.parametrize("text", PROSE)
def test_prose_may_come_in_pieces(text: str) -> None:
    assert "".join(map(without_hidden, text)) == text


@pytest.mark.parametrize("char", HIDDEN, ids=ascii)
def test_what_is_hidden_goes_or_is_seen(char: str) -> None:
    assert printable(f"a{char}b") == "ab"
    assert one_line(f"a{char}b") == f"a{char.encode('unicode_escape').decode()}b"
    shown = json_text({char: [char]})
    assert char not in shown
    assert json.loads(shown) == {char: [char]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ChatGLM3-6B　对话", "ChatGLM3-6B　对话"),
        ("a\nb\tc\u2028d", r"a\nb\tc\u2028d"),
        ("a\u200db\u200cc\ufe0f", r"a\u200db\u200cc\ufe0f"),
        ("\udcff", r"\udcff"),
    ],
)
def test_a_name_has_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


def test_an_error_has_one_line_of_bounded_length() -> None:
    assert error_line(ValueError("a\nb\x1b[2J")) == r"a b\x1b[2J"
    assert len(error_line(ValueError("x" * 10_000))) < 2100


def test_json_keeps_its_layout() -> None:
    assert json_text({"a": "你\n"}, indent=1) == '{\n "a": "你\\n"\n}'
