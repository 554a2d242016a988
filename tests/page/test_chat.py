"""A conversation with the built-in model, as a person has it."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import Open
from tests.support.servers import Server

pytestmark = pytest.mark.live

WEATHER = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "查询城市的天气",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "description": "城市"}},
                    "required": ["city"],
                },
            },
        }
    ]
)


@pytest.mark.parametrize(
    ("locale", "lang", "placeholder", "question", "word", "counts"),
    [
        ("en-GB", "en", "Message glm3-tiny", "What is glm3edge?", "ChatGLM3", "of 1,024 tokens"),
        ("zh-CN", "zh-CN", "给 glm3-tiny 发消息", "glm3edge 是什么？", "ChatGLM3", "1,024 个词元"),
        ("fr-FR", "en", "Message glm3-tiny", "你好", "glm3edge", "of 1,024 tokens"),
    ],
)
def test_chat(  # noqa: PLR0917
    visit: Open,
    server: Server,
    locale: str,
    lang: str,
    placeholder: str,
    question: str,
    word: str,
    counts: str,
) -> None:
    there = visit(server.url, locale=locale)
    page = there.page
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.get_by_placeholder(placeholder)).to_be_focused()
    assert word in there.ask(question)
    assert there.messages[0] == question
    expect(page.locator(".message.assistant .stats")).to_contain_text(
        "词元/秒" if lang == "zh-CN" else "tokens/s"
    )
    expect(page.locator(".context")).to_contain_text(counts)
    expect(page).to_have_title(f"{question} · glm3edge")
    page.get_by_role("button", name="切换到中文" if lang == "en" else "Switch to English").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if lang == "en" else "en")


def test_conversations_are_kept(visit: Open, server: Server) -> None:
    there = visit(server.url)
    page = there.page
    there.ask("Hello")
    page.get_by_role("button", name="New chat").click()
    there.ask("What is glm3edge?")
    said = there.messages
    page.reload()
    expect(page.locator(".bubble")).to_have_text("What is glm3edge?")
    assert there.messages == said

    names = page.locator(".item > a")
    expect(names).to_have_text(["What is glm3edge?", "Hello"])
    page.get_by_role("button", name="Rename “What is glm3edge?”").click()
    page.get_by_label("Name of the conversation").fill("关于 glm3edge")
    page.keyboard.press("Enter")
    expect(names).to_have_text(["关于 glm3edge", "Hello"])
    page.keyboard.press("Control+k")
    expect(page.get_by_label("Search conversations")).to_be_focused()
    page.keyboard.type("demo")  # said by the model
    expect(names).to_have_text(["Hello"])
    names.first.click()
    page.get_by_label("Search conversations").fill("")
    expect(page.locator(".bubble")).to_have_text("Hello")
    page.get_by_role("button", name="Delete “Hello”").click()
    expect(names).to_have_text(["关于 glm3edge"])
    page.get_by_role("button", name="Undo").click()
    expect(names).to_have_count(2)
    page.reload()
    expect(names).to_have_count(2)


def test_regenerate_and_edit(visit: Open, server: Server) -> None:
    there = visit(server.url)
    page = there.page
    first = there.ask("Hello")
    page.get_by_role("button", name="Regenerate reply").click()
    expect(page.get_by_text("The earlier reply was replaced.")).to_be_visible()
    assert "glm3edge" in there.reply()
    assert there.bodies[0] == there.bodies[1]
    assert there.bodies[0]["messages"] == [{"role": "user", "content": "Hello"}]
    there.ask("What can you do?")
    page.locator(".message.user").first.hover()
    page.get_by_role("button", name="Edit message").first.click()
    field = page.get_by_label("Edit your message")
    expect(field).to_be_focused()
    field.fill("你好")
    field.press("Enter")
    expect(page.locator(".bubble")).to_have_text(["你好"])
    there.reply()
    assert there.bodies[-1]["messages"] == [{"role": "user", "content": "你好"}]
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".bubble")).to_have_text(["Hello", "What can you do?"])
    assert first


def test_a_tool_is_called_and_its_result_sent_back(visit: Open, server: Server) -> None:
    there = visit(server.url, locale="zh-CN")
    page = there.page
    page.get_by_role("button", name="对话设置").click()
    tools = page.get_by_role("textbox", name="工具")
    tools.fill('[{"type": "function"}]')
    expect(page.get_by_text("function.name 必须是一行文字")).to_be_visible()
    expect(tools).to_have_attribute("aria-invalid", "true")
    tools.fill(WEATHER)
    expect(page.get_by_text("1 个工具")).to_be_visible()
    there.close_dialog("完成")
    there.say("北京的天气怎么样？")
    field = page.get_by_label("get_weather 的结果")
    expect(page.locator(".call pre")).to_contain_text("北京")
    send = page.get_by_role("button", name="发送结果")
    expect(send).to_be_disabled()
    field.fill('{"temperature": 22}')
    send.click()
    expect(page.locator(".message.assistant")).to_have_count(2)
    assert "22" in there.reply()
    call, result = there.bodies[-1]["messages"][-2:]
    assert call["tool_calls"][0]["function"]["name"] == "get_weather"
    assert result == {
        "role": "tool",
        "tool_call_id": call["tool_calls"][0]["id"],
        "content": '{"temperature": 22}',
    }


def test_export_and_import(visit: Open, server: Server, tmp_path: Path) -> None:
    there = visit(server.url)
    there.ask("Hello")
    said = there.messages
    with there.page.expect_download() as download:
        there.page.get_by_role("button", name="Export this conversation").click()
    path = tmp_path / download.value.suggested_filename
    assert path.name.startswith("glm3edge-Hello-")
    download.value.save_as(path)
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["conversations"][0]["title"] == "Hello"

    other = visit(server.url)  # another browser
    page = other.page

    def take(file: Path) -> None:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Import…").click()
        chooser.value.set_files(file)

    page.get_by_role("button", name="Preferences").click()
    take(path)
    expect(page.get_by_text("Conversations imported: 1")).to_be_visible()
    take(path)
    expect(page.get_by_text("Nothing new in the file")).to_be_visible()
    path.write_text(path.read_text(encoding="utf-8").replace('"user"', '"root"'), encoding="utf-8")
    take(path)
    expect(page.get_by_text("conversations[0].messages[0].role")).to_be_visible()
    kept["conversations"][0]["id"] = "__proto__"
    path.write_text(json.dumps(kept), encoding="utf-8")
    take(path)
    expect(page.get_by_text("conversations[0].id")).to_be_visible()
    other.close_dialog()
    page.locator(".item > a").click()
    expect(page.locator(".bubble")).to_have_text("Hello")
    assert other.messages == said
    page.reload()
    expect(page.locator(".bubble")).to_have_text("Hello")


def test_settings_are_sent_and_can_be_kept(visit: Open, server: Server) -> None:
    there = visit(server.url)
    page = there.page
    page.keyboard.press("Control+,")
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Temperature").fill("0.3")
    page.get_by_label("Top P").fill("1.5")
    expect(page.get_by_text("Enter a number from 0 to 1")).to_be_visible()
    page.get_by_label("Longest reply").fill("20")
    page.get_by_label("Repetition penalty").fill("1.1")
    page.get_by_label("Seed").fill("7")
    page.get_by_role("button", name="Use for new chats").click()
    there.close_dialog()
    there.ask("Hello")
    page.get_by_role("button", name="New chat").click()
    there.ask("Hello")
    for body in there.bodies:
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}
        assert (body["temperature"], body["max_tokens"], body["seed"]) == (0.3, 20, 7)
        assert body["repetition_penalty"] == 1.1
        assert "top_p" not in body
        assert body["model"] == "glm3-tiny"
