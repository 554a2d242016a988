"""Links and anchors between README, README.zh-CN and docs lead somewhere."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.pages import PAGES, READMES, TRANSLATIONS, anchors, links
from tests.support.paths import ROOT

_ELSEWHERE = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in links(page) if not _leads_somewhere(page, link)]
    assert broken == []


def _leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(_ELSEWHERE):
        return True
    place, _, anchor = unquote(link).partition("#")
    target = page if not place else (page.parent / place).resolve()
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors(target))


def test_every_page_is_linked_from_both_readmes() -> None:
    """In the README's language where the page is there in it."""
    pages = {f"docs/{path.name}" for path in PAGES if path not in READMES}
    translated = {f"docs/{page.name}": f"docs/{other.name}" for page, other in TRANSLATIONS}
    english, chinese = ({link.partition("#")[0] for link in links(page)} for page in READMES)
    assert pages - set(translated.values()) <= english
    assert pages - set(translated) <= chinese
