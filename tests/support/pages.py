"""README and docs as tests read them: code blocks, tables, headings, links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.paths import ROOT

READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = (*READMES, *sorted((ROOT / "docs").glob("*.md")))
TRANSLATIONS = tuple(
    (page, translation) for page in PAGES if (translation := page.with_suffix(".zh-CN.md")) in PAGES
)
"""Pages in English, each with the same one in Chinese."""

_NEEDS = re.compile(r"<!--\s*needs:\s*(.+?)\s*-->")
_RUN = re.compile(r"<!--\s*run:\s*(.+?)\s*-->")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        text: what is in it.
        language: the word after the fence; empty for indented blocks.
        needs: what it takes to be run, as a comment before it says; None if nothing.
        run: how the test runs it, as a comment before it says; None if its language says it.
        line: where it begins, counted from 1.
    """

    text: str
    language: str
    needs: str | None
    run: str | None
    line: int


@cache
def tokens(path: Path) -> tuple[Token, ...]:
    """The page's tokens, top level and inline."""
    return tuple(MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")))


def blocks(path: Path) -> Iterator[Block]:
    """The page's blocks of code; a comment counts for the block that follows it directly."""
    comment = ""
    for token in tokens(path):
        if token.type == "html_block":
            comment = token.content
            continue
        if token.type in ("fence", "code_block"):
            needs, run = _NEEDS.search(comment), _RUN.search(comment)
            assert token.map is not None
            yield Block(
                text=token.content,
                language=token.info.strip(),
                needs=needs and needs[1],
                run=run and run[1],
                line=token.map[0] + 1,
            )
        if token.level == 0:
            comment = ""


def rows(path: Path, heading: str, *, number: int = 0) -> list[list[str]]:
    """The cells of a table below ``heading``, by default the first, without its head."""
    found: list[list[list[str]]] = []
    is_below, is_body = False, False
    for token, following in pairwise(tokens(path)):
        if token.type == "heading_open":
            is_below = following.content == heading
        elif token.type in ("tbody_open", "tbody_close"):
            is_body = is_below and token.type == "tbody_open"
            found += [[]] if is_body else []
        elif is_body and token.type == "tr_open":
            found[-1].append([])
        elif is_body and token.type == "inline":
            found[-1][-1].append(token.content)
    return found[number]


def headings(path: Path) -> list[tuple[int, str]]:
    """Level and text of each heading."""
    return [
        (int(token.tag.removeprefix("h")), following.content)
        for token, following in pairwise(tokens(path))
        if token.type == "heading_open"
    ]


def anchors(path: Path) -> set[str]:
    """What ``#...`` may point to, by GitHub's rule."""
    seen: dict[str, int] = {}
    found = set()
    for index, token in enumerate(tokens(path)):
        if token.type == "heading_open":
            slug = slug_of(tokens(path)[index + 1])
            number = seen.get(slug, 0)
            seen[slug] = number + 1
            found.add(f"{slug}-{number}" if number else slug)
    return found


def slug_of(heading: Token) -> str:
    """The anchor of a heading: its text in small letters, without punctuation."""
    kinds = ("text", "code_inline")
    text = "".join(child.content for child in heading.children or () if child.type in kinds)
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def links(path: Path) -> Iterator[str]:
    """Where links and pictures point."""
    for token in tokens(path):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield str(target)
        if token.type in ("html_block", "html_inline"):
            yield from re.findall(r'(?:href|src|srcset)="([^"]+)"', token.content)
