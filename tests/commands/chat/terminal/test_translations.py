"""Texts in both languages, and the choice of one."""

import string

import pytest

from glm3edge.commands.chat.slash_commands import ARGUMENTS
from glm3edge.commands.chat.terminal.translations import TEXTS, Texts, user_language


def test_texts_say_the_same_in_both_languages() -> None:
    for key, (english, chinese) in TEXTS.items():
        fields = [
            sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)
            for text in (english, chinese)
        ]
        assert fields[0] == fields[1], key
    assert all(f"help_{name}" in TEXTS for name in ARGUMENTS)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_TW"}, "zh"),
        ({"LANG": "C"}, "en"),
    ],
)
def test_language(environment: dict[str, str], language: str) -> None:
    assert user_language(environment) == language


def test_plurals() -> None:
    """``1 replies`` was printed once."""
    english, chinese = Texts("en"), Texts("zh")
    fields = {"prompt": 1, "completion": 2}
    assert english("stats_total", count=1, **fields).endswith(
        " 1 reply, 1 prompt token, 2 reply tokens"
    )
    assert english("stats_total", count=2, **fields).split(",")[0].endswith(" 2 replies")
    assert "累计      1 次回复" in chinese("stats_total", count=1, **fields)
    assert english("stats_speed", speed=1.25, first=2).endswith("1.2 tokens/s, first after 2.00 s")
