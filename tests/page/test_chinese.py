"""Chinese replies on the page and, from the same server, in a terminal."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Open
from tests.support.chinese_text import ROWS, in_terminal, marked, random_markdown
from tests.support.fakes import EOS, FakeBackend, spell
from tests.support.scripted_server import Serve
from tests.support.terminal import Terminal

pytestmark = pytest.mark.live

POEM = """**《静夜思》**李白
床前明月光，
疑是地上霜。

（见**《唐诗三百首》**）的

- *注：*明月~~（月亮）~~指月光
  **低头：**思乡"""
POEM_IN_TERMINAL = """
《静夜思》李白
床前明月光，
疑是地上霜。

（见《唐诗三百首》）的

 • 注：明月（月亮）指月光
   低头：思乡
"""

# Of each part of a reply, between rules: its lines, and of each of these its texts with their tags.
# White space is what a browser makes of it.
LINES = """() => {
  const parts = [[[]]];
  const endLine = () => parts.at(-1).at(-1).length && parts.at(-1).push([]);
  const names = { STRONG: "b", EM: "i", S: "s", DEL: "s", CODE: "code" };
  const walk = (node, tags) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const line = parts.at(-1).at(-1);
      const text = node.data.replace(line.length ? "" : /^[ \\n]+/, "").replace(/\\n/g, " ");
      if (text) line.push([text, tags]);
      return;
    }
    const isBlock = getComputedStyle(node).display !== "inline" || node.localName === "br";
    if (isBlock) endLine();
    if (node.localName === "hr") parts.push([[]]);
    const name = names[node.tagName];
    for (const child of node.childNodes) walk(child, name ? [...tags, name] : tags);
    if (isBlock) endLine();
  };
  walk(document.querySelector(".message:last-child .markdown"), []);
  return parts;
}"""


def on_page(page: Page) -> list[str]:
    """The parts of the last reply, as in ``ROWS``."""
    parts: list[list[list[tuple[str, list[str]]]]] = page.evaluate(LINES)
    shown = ("\n".join(marked(line).rstrip() for line in part) for part in parts)
    return [part.strip("\n") for part in shown]


def joined(replies: Sequence[str]) -> str:
    return "\n\n***\n\n".join(replies)


@pytest.fixture
def say(visit: Open, serve: Serve, backend: FakeBackend) -> Callable[[str], Page]:
    """Has the model reply with a text; the page that shows it."""

    def reply_with(text: str) -> Page:
        backend.reply_for = lambda _prompt: [*spell(text), EOS]
        there = visit(serve().url, permissions=["clipboard-read", "clipboard-write"])
        there.ask("?")
        return there.page

    return reply_with


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(context_size=65_536, batch_size=512)


def test_lines_and_bold_text(say: Callable[[str], Page]) -> None:
    page = say(joined([markdown for markdown, _ in ROWS]))
    assert on_page(page) == [shown for _, shown in ROWS]


def test_the_page_and_the_terminal_show_the_same(say: Callable[[str], Page]) -> None:
    texts = [random_markdown(seed) for seed in range(100)]
    page = say(joined(texts))
    assert on_page(page) == [in_terminal(text) for text in texts]


def test_bold_text_in_a_table(say: Callable[[str], Page]) -> None:
    cells = "| **标题：**内容 | ~~删除。~~然后 |\n| **「あ」**い | **가:**나 |"
    page = say(f"| a | b |\n| --- | --- |\n{cells}")
    expect(page.locator("td strong")).to_have_text(["标题：", "「あ」", "가:"])
    expect(page.locator("td s")).to_have_text(["删除。"])


def test_what_is_copied_and_exported_is_the_source(
    say: Callable[[str], Page], tmp_path: Path
) -> None:
    page = say(POEM)
    page.get_by_role("button", name="Copy message").last.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == POEM
    with page.expect_download() as download:
        page.get_by_role("button", name="Export this conversation").click()
    download.value.save_as(tmp_path / "chat.json")
    exported = json.loads((tmp_path / "chat.json").read_text(encoding="utf-8"))
    assert exported["conversations"][0]["messages"][1]["content"] == POEM


def test_a_reply_in_a_terminal(serve: Serve, backend: FakeBackend, tmp_path: Path) -> None:
    backend.reply_for = lambda _prompt: [*spell(POEM), EOS]
    base_url = f"{serve().url}/v1"
    environment = {"XDG_STATE_HOME": str(tmp_path), "LC_ALL": "en_US.UTF-8"}
    with Terminal("chat", "--base-url", base_url, environment=environment) as terminal:
        terminal.wait_prompt()
        terminal.send("?")
        terminal.wait_for("思乡")
        shown = terminal.wait_prompt()
        looks = [terminal.drawn(look).strip() for look in ("italics", "strikethrough", "bold")]
    assert POEM_IN_TERMINAL in shown
    assert looks[:2] == ["注：", "（月亮）"]
    assert looks[2].replace(" ", "").endswith("《静夜思》《唐诗三百首》•低头：")
