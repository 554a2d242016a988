"""Takes the READMEs' pictures of the chat page from a running server.

Usage: scripts/picture_of_page.py URL [FOLDER]

The conversation is a real one with the built-in model; which, TURNS says. Needs Playwright, and
Debian's chromium, fonts-noto-cjk and pngquant.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

TOOLS = """[{"type": "function", "function": {"name": "get_weather",
  "description": "%s", "parameters": {"type": "object",
  "properties": {"city": {"type": "string", "description": "%s"}}, "required": ["city"]}}}]"""
WORDS = {"en-US": ("Get the weather of a city", "The city"), "zh-CN": ("查询城市的天气", "城市")}
EARLIER = {
    "en-US": ("Hello", "Which types of quantization are there?"),
    "zh-CN": ("你好", "有哪些量化类型？"),
}
TURNS = {
    "en-US": (
        "What is glm3edge?",
        "How do I serve the real model?",
        "What is the weather in Paris?",
    ),
    "zh-CN": ("glm3edge 是什么？", "怎么运行真正的模型？", "北京的天气怎么样？"),
}
RESULTS = {
    "en-US": '{"temperature": 22, "weather": "sunny"}',
    "zh-CN": '{"temperature": 22, "weather": "晴"}',
}
NAMES = {"en-US": "chat.png", "zh-CN": "chat-zh.png"}


def take(browser: Browser, url: str, locale: str, path: Path) -> None:
    """Have the conversation and take its picture, in as few colours as do."""
    page = browser.new_page(
        locale=locale,
        viewport={"width": 1280, "height": 800},
        color_scheme="light" if locale == "en-US" else "dark",
    )
    page.goto(url)
    for text in EARLIER[locale]:
        page.keyboard.press("Control+Shift+O")
        _ask(page, text)
    page.keyboard.press("Control+Shift+O")
    page.locator(".welcome").wait_for()
    page.keyboard.press("Control+,")
    page.locator("dialog textarea.mono").fill(TOOLS % WORDS[locale])
    page.locator("dialog input").first.fill("0")
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    for text in TURNS[locale]:
        _ask(page, text)
    page.locator(".call textarea").fill(RESULTS[locale])
    page.locator(".calls button[type=submit]").click()
    page.locator(".message:last-child .markdown").wait_for()
    page.locator(".message:last-child .stats").wait_for()
    page.mouse.move(640, 780)
    page.screenshot(path=path)
    subprocess.run(
        ["pngquant", "--force", "--strip", "--speed", "1", "--output", path, "128", path],
        check=True,
    )


def _ask(page: Page, text: str) -> None:
    page.locator("#message").fill(text)
    page.keyboard.press("Enter")
    page.locator(".message:last-child .stats").wait_for()


def main() -> None:
    url = sys.argv[1]
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else "docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for locale, name in NAMES.items():
            take(browser, url, locale, folder / name)
            print(folder / name)


if __name__ == "__main__":
    main()
