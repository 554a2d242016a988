"""Replies on a screen: Markdown while it comes, Chinese width, and no command to the terminal."""

import asyncio
import io
import random
import re
from itertools import pairwise

import pyte
import pytest
from rich.console import Console, ConsoleDimensions

from glm3edge.commands.chat.terminal.display import MarkdownDisplay, PlainDisplay
from glm3edge.commands.chat.terminal.markdown import split_blocks
from glm3edge.commands.chat.terminal.wrapping import break_offsets

pytestmark = pytest.mark.slow

REPLY = """# 标题 Title

你好！这是一个**很长的段落**，里面有中文和 English 混排，还有`inline code`，标点不应出现在行首。
第二行在这里 <script>alert(1)</script> [link](https://example.com)

- item one
- 第二项，比较长的一项，会换行的一项，会换行的一项，会换行的一项
  1. nested

```python
def f(x):
    return x + 1  # 注释
```

| 名称 | value |
| --- | ---: |
| 北京 | 1 |
| 上海 | 22 |
| 广州 | 333 |
| 深圳 | 4444 |

> 引用

最后 1 < 2 & $a_1$
"""
SHOWN = """标题 Title

你好！这是一个很长的段落，里面有中文和
English 混排，还有inline code，标点不应
出现在行首。
第二行在这里 <script>alert(1)</script>
link (https://example.com)

 • item one
 • 第二项，比较长的一项，会换行的一项，
   会换行的一项，会换行的一项
    1 nested

```python
def f(x):
    return x + 1  # 注释
```

 名称  value
 ───────────
 北京      1
 上海     22
 广州    333
 深圳   4444

▌ 引用

最后 1 < 2 & $a_1$"""


class _File(io.StringIO):
    """A terminal: what is written is on its screen."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.Stream(self.screen)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))  # as the system's terminals do
        return super().write(text)

    @property
    def text(self) -> str:
        screen = self.screen
        rows = [*screen.history.top, *(screen.buffer[n] for n in range(screen.lines))]
        lines = ["".join(row[n].data for n in range(screen.columns)).rstrip() for row in rows]
        return "\n".join(lines).strip("\n")


async def _show(pieces: list[str], file: _File) -> None:
    columns, lines = file.screen.columns, file.screen.lines
    console = Console(
        file=file, force_terminal=True, width=columns, height=lines, color_system="standard"
    )
    display = MarkdownDisplay(console)
    await display.start(lambda seconds: f"waiting {seconds}")
    for piece in pieces:
        display.feed(piece)
        display._draw(is_last=False)  # now, and not when its time has come
    await display.finish()


@pytest.mark.parametrize("lines", [50, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_reply_in_pieces_is_the_reply(lines: int, seed: int) -> None:
    """Whatever pieces it comes in, and whether it fits the screen or not."""
    numbers = random.Random(seed)
    pieces, rest = [], REPLY
    while rest:
        size = numbers.choice([1, 1, 2, 3, 20]) if seed else 1
        pieces.append(rest[:size])
        rest = rest[size:]
    file = _File(40, lines)
    asyncio.run(_show(pieces, file))
    assert file.text == SHOWN


@pytest.mark.parametrize(("columns", "lines"), [(70, 10), (25, 6), (40, 20)])
def test_a_window_changes_while_a_reply_comes(columns: int, lines: int) -> None:
    """Every word is there, in order; of those that were on the screen some may be there twice."""
    words = [f"word{number}" for number in range(200)]

    async def show() -> None:
        console = Console(file=file, force_terminal=True, width=40, height=10)
        display = MarkdownDisplay(console)
        await display.start(str)
        for number, word in enumerate(words):
            if number == 100:
                file.screen.resize(lines, columns)
                console.size = ConsoleDimensions(columns, lines)
            display.feed(f"{word} ")
            display._draw(is_last=False)
        await display.finish()

    file = _File(40, 10)
    asyncio.run(show())
    found = file.getvalue() if columns < 40 else file.text  # pyte cuts what is too wide
    shown = re.findall(r"word\d+", found)
    assert list(dict.fromkeys(shown)) == words
    if columns >= 40:
        assert len(shown) <= len(words) + 5 * 10


def test_a_reply_is_not_drawn_again_and_again() -> None:
    """What has been drawn stays, but for the block that grows."""
    file = _File(40, 50)
    asyncio.run(_show([f"paragraph {n}\n\n" for n in range(100)], file))
    assert file.getvalue().count("paragraph 5\x1b") + file.getvalue().count("paragraph 5\n") <= 2


def test_waiting_is_said_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glm3edge.commands.chat.terminal.display._WAIT_SECONDS", 0.0)
    file = _File(40, 10)

    async def show() -> str:
        console = Console(file=file, force_terminal=True, width=40, height=10)
        display = MarkdownDisplay(console)
        await display.start(lambda seconds: f"waiting {seconds}")
        await asyncio.sleep(0.05)
        waiting = file.text
        display.feed("here")
        await display.finish()
        return waiting

    assert re.fullmatch(r"waiting \d+", asyncio.run(show()))
    assert file.text == "here"


@pytest.mark.parametrize("display", ["markdown", "plain"])
def test_a_terminal_obeys_nothing(display: str) -> None:
    reply = "a\x1b[2Jb\x1b]0;title\x07c\x9bd\re\u202ef\x00g"
    file = _File(40, 10)
    if display == "plain":
        PlainDisplay(file).feed(reply)
        assert "\x1b" not in file.getvalue()
    else:
        asyncio.run(_show([reply], file))
    assert file.text == "a[2Jb]0;titlecdefg"


def test_elsewhere_a_reply_is_written_as_it_is() -> None:
    file = io.StringIO()
    display = PlainDisplay(file)
    display.feed("**a**\x1b[1m")
    display.feed("b")
    asyncio.run(display.finish())
    assert file.getvalue() == "**a**\x1b[1mb\n"


def test_blocks_are_split_for_good() -> None:
    """A block that was complete once stays as it was, whatever comes after it."""
    done_before: list[str] = []
    for length in range(len(REPLY)):
        done, rest = split_blocks(REPLY[:length])
        assert done[: len(done_before)] == done_before
        assert "".join((*done, rest)).replace("\n", "") == REPLY[:length].replace("\n", "")
        done_before = done


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("hello world", 5, ["hello ", "world"]),
        ("你好世界", 4, ["你好", "世界"]),
        ("你好，世界", 4, ["你", "好，", "世界"]),
        ("说「你好」", 4, ["说", "「你", "好」"]),
        ("a b 你好世界很长", 8, ["a b 你好", "世界很长"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("你", 1, ["你"]),
    ],
)
def test_lines_are_broken_where_they_may(text: str, width: int, lines: list[str]) -> None:
    offsets = [0, *break_offsets(text, width), len(text)]
    assert [text[a:b] for a, b in pairwise(offsets)] == lines
