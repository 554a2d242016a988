"""Texts in both languages, and the choice of one."""

import string

import pytest

from glm3edge.commands.chat.slash_commands import ARGUMENTS
from glm3edge.commands.chat.terminal.translations import TEXTS, user_language


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
