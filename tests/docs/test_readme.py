"""READMEs: short, with the same sections in both languages, in the order in which one begins."""

from pathlib import Path

import pytest

from tests.support.pages import READMES, headings

SECTIONS = (
    ("What you need", "需要什么"),
    ("Start", "快速开始"),
    ("ChatGLM3-6B", "运行 ChatGLM3-6B"),
    ("Use", "调用"),
    ("Windows", "Windows"),
    ("When something goes wrong", "出了问题"),
    ("Limits", "局限"),
    ("More", "更多"),
    ("License", "许可"),
)
MAX_LINES = 130
MAX_WIDTH, MAX_TABLE_WIDTH = 140, 200
"""In characters, so that few lines are not long ones."""


@pytest.mark.parametrize(("language", "page"), list(enumerate(READMES)))
def test_it_has_all_sections_in_order(language: int, page: Path) -> None:
    sections = [(2, names[language]) for names in SECTIONS]
    assert headings(page) == [(1, "glm3edge"), *sections]


@pytest.mark.parametrize("page", READMES, ids=lambda path: str(path.name))
def test_it_is_short(page: Path) -> None:
    lines = page.read_text("utf-8").splitlines()
    assert len(lines) <= MAX_LINES
    for line in lines:
        assert len(line) <= (MAX_TABLE_WIDTH if line.startswith("|") else MAX_WIDTH), line
