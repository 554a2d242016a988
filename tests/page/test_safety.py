"""What a model writes does nothing but be read."""

from collections.abc import Sequence

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Open
from tests.support.fakes import EOS, FakeBackend, spell
from tests.support.scripted_server import Serve

pytestmark = pytest.mark.live

HOSTILE = """
<script>window.hacked = 1</script>
<img src=x onerror="window.hacked = 2">
<svg/onload=window.hacked=3><iframe srcdoc="<script>parent.hacked=4</script>"></iframe>

<a href="javascript:window.hacked=5">html</a> [js](javascript:window.hacked=6)
[JS](JaVaScRiPt:window.hacked=7) [tab](java\tscript:window.hacked=8)
[data](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==) [vb](vbscript:x)
[entity](&#106;avascript:window.hacked=9) <javascript:window.hacked=10>
![image](https://outside.example/pixel.png) ![js](javascript:window.hacked=11)
[good](https://good.example/?q=1 "on\\"mouseover=window.hacked=12") <mailto:a@good.example>
[ref]: javascript:window.hacked=13
[ref] [file](file:///etc/passwd) [relative](/v1/models)

```html"><img src=x onerror=window.hacked=14>
</code></pre><script>window.hacked = 15</script>
```

```js
const end = "</script><script>window.hacked = 16</script>";
```

| a | <b onclick=window.hacked=17>b</b> |
| --- | --- |
| <style>*{display:none}</style> | `</td><script>window.hacked=18</script>` |

$\\href{javascript:window.hacked=19}{x}$ $\\includegraphics{https://outside.example/a.png}$
$\\htmlStyle{display:none}{y}$ $</span><img src=x onerror=window.hacked=20>$
$\\unicode{x}<script>window.hacked=21</script>$ $$\\fcolorbox{red}{blue}{\\pmb{z}}$$
$$\\def\\x{\\x\\x}\\x$$ \\(\\url{javascript:window.hacked=22}\\)

<form action="https://outside.example"><button formaction="javascript:window.hacked=23">x</form>
<base href="https://outside.example/">
<meta http-equiv=refresh content="0;url=https://outside.example">
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=x&gt;">
<div id=app name=getElementById style="position:fixed;inset:0">overlay</div> done
"""

INVENTORY = """() => {
  const replies = document.querySelectorAll(".message.assistant");
  const nodes = [...replies].flatMap((reply) => [...reply.querySelectorAll("*")]);
  return {
    tags: [...new Set(nodes.map((node) => node.localName))],
    handlers: nodes.flatMap((node) => node.getAttributeNames().filter((name) => /^on/i.test(name))),
    links: nodes.filter((node) => node.localName === "a")
      .map((node) => [node.getAttribute("href"), node.target, node.rel]),
    hacked: window.hacked ?? null,
  };
}"""


def scripted(text: str) -> FakeBackend:
    def reply_for(_prompt: Sequence[int]) -> list[int]:
        return [*spell(text), EOS]

    return FakeBackend(reply_for=reply_for, context_size=16_384, batch_size=512)


@pytest.fixture
def backend() -> FakeBackend:
    return scripted(HOSTILE)


def check(page: Page) -> None:
    """Nothing of the text is more than text, and links lead outside only by a click."""
    found = page.evaluate(INVENTORY)
    assert found["hacked"] is None
    assert not found["handlers"]
    forbidden = {"script", "img", "iframe", "form", "base", "meta", "style", "object", "input", "b"}
    assert forbidden.isdisjoint(found["tags"])
    assert {"a", "pre", "table", "math"} <= set(found["tags"])  # it was shown as Markdown
    assert found["links"]
    for address, target, rel in found["links"]:
        assert address.startswith(("https://", "mailto:"))
        assert (target, rel) == ("_blank", "noopener noreferrer")


def test_a_hostile_reply_does_nothing(visit: Open, serve: Serve) -> None:
    there = visit(serve().url)
    page = there.page
    there.ask("<img src=x onerror=window.hacked=99>")
    expect(page.locator(".katex").first).to_be_visible()
    expect(page.locator(".hljs-keyword").first).to_be_visible()
    check(page)
    expect(page.locator(".message.assistant")).to_contain_text("<script>window.hacked = 1</script>")
    page.reload()
    expect(page.locator(".katex").first).to_be_visible()
    check(page)
    assert not any("outside.example" in address for address in there.requests)


def test_a_hostile_call_does_nothing(visit: Open, serve: Serve, backend: FakeBackend) -> None:
    page = visit(serve().url).page
    page.route("**/v1/chat/completions", lambda route: route.fulfill(**_hostile_call()))
    page.fill("#message", "x")
    page.keyboard.press("Enter")
    expect(page.locator(".call")).to_contain_text("onerror")
    assert page.evaluate("document.querySelectorAll('.call img, .call script').length") == 0
    assert page.evaluate("window.hacked ?? null") is None


def _hostile_call() -> dict[str, object]:
    chunk = (
        r'data: {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "1",'
        r' "function": {"name": "<img src=x onerror=window.hacked=1>",'
        r' "arguments": "```\n<script>window.hacked=2</script>"}}]}}]}'
    )
    return {"content_type": "text/event-stream", "body": f"{chunk}\n\ndata: [DONE]\n\n"}


@pytest.mark.parametrize("broken", ["data: {\n\n", "data: 5\n\n", "", "data: null\n\n"])
def test_a_broken_stream_is_said(visit: Open, serve: Serve, broken: str) -> None:
    page = visit(serve().url).page
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(content_type="text/event-stream", body=broken),
    )
    page.fill("#message", "x")
    page.keyboard.press("Enter")
    expect(page.locator(".failure")).to_contain_text("The connection broke off")
