"""Markdown rendering for terminals."""

import re
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, Paragraph
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from glm3edge.commands.chat.terminal.cjk import cjk
from glm3edge.commands.chat.terminal.wrapping import wrap

# HTML is text like any other here, so that nothing of a reply vanishes.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).use(cjk)

# Spaces that fill a line become lines of their own when a window gets narrower.
_TRAILING = re.compile(r"(?: |\x1b\[[0-9;]*m)+$")


def split_blocks(text: str) -> tuple[list[str], str]:
    """Complete blocks of Markdown, and the last one, which may still grow."""
    starts = [
        token.map[0] for token in _PARSER.parse(text) if token.level == 0 and token.map is not None
    ]
    starts = sorted(set(starts))
    if len(starts) < 2:
        return [], text
    lines = text.split("\n")
    ends = starts[1:]
    done = ["\n".join(lines[a:b]) for a, b in zip(starts, ends, strict=False)]
    return done, "\n".join(lines[starts[-1] :])


def is_table(block: str) -> bool:
    """Whether a block is a table, whose columns grow with its rows."""
    tokens = _PARSER.parse(block)
    return bool(tokens) and tokens[-1].type == "table_close"


class _Paragraph(Paragraph):
    """Paragraph that wraps between Chinese characters too."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield wrap(self.text, options.max_width)


class _Heading(Heading):
    """Heading that is aligned left."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield wrap(self.text, options.max_width)


class _CodeBlock(CodeBlock):
    """Code block between its fences, so that what is copied from the screen is code."""

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> "_CodeBlock":
        return cls(token.info.partition(" ")[0], markdown.code_theme)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(f"```{self.lexer_name}", style="dim")
        yield Syntax(
            str(self.text).rstrip("\n"),
            self.lexer_name or "text",
            theme=self.theme,
            background_color="default",
            word_wrap=True,
        )
        yield Text("```", style="dim")


class ReplyMarkdown(Markdown):
    """Markdown as models write it: line ends are kept, and links show their target."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "paragraph_open": _Paragraph,
        "heading_open": _Heading,
        "fence": _CodeBlock,
        "code_block": _CodeBlock,
    }

    def __init__(self, markup: str) -> None:
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        self.markup = markup
        self.parsed = _PARSER.parse(markup)
        for token in self.parsed:
            for child in token.children or ():
                if child.type == "softbreak":
                    child.type = "hardbreak"


def render(markup: str, console: Console) -> list[str]:
    """Lines of ``markup`` on ``console``, with escape codes for colors."""
    width = max(console.width - 1, 1)  # in the last column, terminals differ
    with console.capture() as capture:
        console.print(Padding(ReplyMarkdown(markup), 0), width=width, end="")
    lines = [_TRAILING.sub(_trimmed, line) for line in capture.get().split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def _trimmed(match: re.Match[str]) -> str:
    return "\x1b[0m" if match.start() and "\x1b" in match[0] else ""
