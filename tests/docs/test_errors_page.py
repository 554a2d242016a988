"""Errors that READMEs and docs/errors.md quote are those of the code."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.pages import READMES, rows
from tests.support.paths import ROOT

ENGLISH, CHINESE = READMES
DOCS = ROOT / "docs"


@cache
def said_in_the_code() -> tuple[str, ...]:
    """All texts of the code, with … where something is filled in."""
    found = []
    for folder in (ROOT / "glm3edge", ROOT / "convert"):
        for path in sorted(folder.rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [text for node in ast.walk(tree) if (text := _text(node)) is not None]
    scripts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "scripts").glob("*.sh"))]
    return (*found, *scripts)


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
        return "".join(parts)
    return None


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        (ENGLISH, "When something goes wrong"),
        (CHINESE, "出了问题"),
        (DOCS / "errors.md", "When something goes wrong"),
        (DOCS / "errors.zh-CN.md", "出了问题怎么办"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_errors_are_the_programs_own(page: Path, heading: str) -> None:
    messages = [m for row in rows(page, heading) for m in re.findall(r"`([^`]+)`", row[0])]
    assert len(messages) > 5
    for message in messages:
        pieces = [piece.strip() for piece in message.split("…") if len(piece.strip()) > 3]
        pattern = ".*".join(map(re.escape, pieces))
        assert any(re.search(pattern, text) for text in said_in_the_code()), message
