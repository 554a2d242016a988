"""Pages in Chinese have the sections, blocks and figures of those in English."""

import re
from pathlib import Path

import pytest

from tests.support.pages import TRANSLATIONS, blocks, headings, links

pytestmark = pytest.mark.parametrize(
    ("page", "translation"), TRANSLATIONS, ids=[page.name for page, _ in TRANSLATIONS]
)


def test_each_leads_to_the_other(page: Path, translation: Path) -> None:
    assert translation.name in list(links(page))[:2]
    assert page.name in list(links(translation))[:2]


def test_both_have_the_same_sections(page: Path, translation: Path) -> None:
    assert [level for level, _ in headings(translation)] == [level for level, _ in headings(page)]


def test_both_have_the_same_kinds_of_blocks(page: Path, translation: Path) -> None:
    """In the same order; what they say may be in the page's language."""
    kinds = [
        [(block.language, block.needs, block.run) for block in blocks(path)]
        for path in (page, translation)
    ]
    assert kinds[0] == kinds[1]


def test_both_have_the_same_figures_in_tables(page: Path, translation: Path) -> None:
    figures = [sorted(re.findall(r"\d[\d.,]*", _tables(path))) for path in (page, translation)]
    assert figures[0] == figures[1]


def _tables(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("|"))


def test_a_token_is_called_one_thing(page: Path, translation: Path) -> None:
    """As in the chat page and in the terminal; code and quoted output aside."""
    text = translation.read_text("utf-8")
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)
    assert "token" not in text.replace("词元（token）", "").lower()
