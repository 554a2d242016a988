"""Markdown in Chinese, Japanese and Korean: emphasis beside punctuation, and indented paragraphs.

In CommonMark ``**`` after punctuation closes only before a space or more punctuation, so
``**标题：**内容`` has no bold text. Beside East Asian text ``*``, ``**`` and ``~~`` open unless a
space follows and close unless one precedes, as in the CJK-friendly amendments to CommonMark
(https://github.com/tats-u/markdown-cjk-friendly). ``_`` keeps its rule, for names like snake_case.

The chat page has the same rule: page/src/cjk.ts.
"""

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.common.utils import isWhiteSpace
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline, emphasis, strikethrough

# East Asian blocks and, beyond the amendments, what Chinese shares with English: quotation marks,
# dash and ellipsis.
_CJK = re.compile(
    "[‘’“”—…\u1100-\u11ff\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe10-\ufe1f"
    "\ufe30-\ufe6f\uff00-\uffef\U00020000-\U0003ffff]"
)
_INDENT = re.compile("[ >]*(\u3000+)")

_Rule = Callable[[StateInline, bool], bool]


def cjk(md: MarkdownIt) -> None:
    """Plug-in for ``MarkdownIt.use`` with these rules."""
    md.inline.ruler.at("emphasis", partial(_tokenize, emphasis.tokenize))
    md.inline.ruler.at("strikethrough", partial(_tokenize, strikethrough.tokenize))
    md.core.ruler.after("block", "indent", _keep_indent)


def _tokenize(rule: _Rule, state: StateInline, silent: bool) -> bool:
    start, known = state.pos, len(state.delimiters)
    if not rule(state, silent):
        return False
    before = state.src[start - 1] if start else " "
    after = state.src[state.pos] if state.pos < state.posMax else " "
    if state.src[start] != "_" and _CJK.search(before + after):
        for delimiter in state.delimiters[known:]:
            delimiter.open = not isWhiteSpace(ord(after))
            delimiter.close = not isWhiteSpace(ord(before))
    return True


def _keep_indent(state: StateCore) -> None:
    """Restore the full-width spaces that markdown-it-py trims from a paragraph's first line."""
    lines = state.src.split("\n")
    for opening, token in pairwise(state.tokens):
        if opening.type == "paragraph_open" and opening.map:
            indent = _INDENT.match(lines[opening.map[0]])
            token.content = (indent[1] if indent else "") + token.content
