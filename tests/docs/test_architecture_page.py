"""docs/architecture.md names every part there is."""

import re

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "architecture.md"


def test_every_part_is_named() -> None:
    named = set(re.findall(r"`([\w/.]+)`", PAGE.read_text(encoding="utf-8")))
    parts = {
        f"{path.name}/" if path.is_dir() else path.stem
        for path in (ROOT / "glm3edge").iterdir()
        if (path.is_dir() and (path / "__init__.py").exists()) or path.suffix == ".py"
    }
    assert parts - {"__init__"} - named == set()
