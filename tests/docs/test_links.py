"""Links and anchors between README, README.zh-CN and docs lead somewhere."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.pages import PAGES, READMES, anchors, links
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


@pytest.mark.parametrize(("page", "other"), [READMES, READMES[::-1]])
def test_each_language_leads_to_the_other(page: Path, other: Path) -> None:
    assert other.name in list(links(page))[:2]


def test_every_page_is_linked_from_both_readmes() -> None:
    pages = {f"docs/{path.name}" for path in PAGES if path.parent.name == "docs"}
    for readme in READMES:
        assert pages <= {link.partition("#")[0] for link in links(readme)}
