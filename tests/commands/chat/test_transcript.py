"""Files of conversations and of tools."""

import json
from pathlib import Path
from typing import Any

import pytest

from glm3edge.commands.chat.conversation import Call, Conversation, offered_tools, tool_names
from glm3edge.commands.chat.errors import TranscriptError
from glm3edge.commands.chat.transcript import Transcript, load, load_tools, save
from glm3edge.errors import ConfigError

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = Call("call_1", "f", '{"a": 1}')


def test_saved_and_loaded(tmp_path: Path) -> None:
    conversation = Conversation()
    conversation.ask("问题")
    conversation.add_reply("", [CALL])
    conversation.add_result(CALL, "1")
    transcript = Transcript(
        system="系统",
        messages=conversation.messages,
        settings={"temperature": 0.5},
        tools=[TOOL],
        model="m",
    )
    path = tmp_path / "chat.json"
    save(transcript, path)
    save(transcript, path)
    assert load(path) == transcript
    assert path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [path]


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("years of work")
    with pytest.raises(TranscriptError, match="not a saved chat"):
        save(Transcript(messages=[]), path)
    assert path.read_text() == "years of work"
    with pytest.raises(TranscriptError, match="No such file"):
        save(Transcript(messages=[]), tmp_path / "none" / "chat.json")


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    save(Transcript(messages=[]), tmp_path / "chat.json")
    (tmp_path / "link").symlink_to("chat.json")
    with pytest.raises(TranscriptError, match="it is a link to chat"):
        save(Transcript(messages=[]), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()


def test_the_body_of_a_request_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    body = {
        "model": "x",
        "temperature": 0.1,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": "hi"},
        ],
    }
    path.write_text(json.dumps(body))
    found = load(path)
    assert (found.system, found.settings) == ("Be brief.", {"temperature": 0.1})
    assert found.messages == [{"role": "user", "content": "hi"}]
    path.write_text(json.dumps(body["messages"]))
    assert load(path).messages == found.messages


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ({}, "does not contain a list of messages"),
        ({"messages": [{"role": "wizard"}]}, r"messages\[0\].role"),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "1"}]}, "no assistant"),
        ({"messages": [], "temperature": 9}, "temperature"),
        ({"messages": [], "tools": [{"type": "function"}]}, r"tools\[0\].function"),
        ({"messages": [], "format": "glm3edge-chat", "version": 9}, "version 9"),
    ],
)
def test_what_cannot_be_loaded(body: Any, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    path.write_text(body if isinstance(body, str) else json.dumps(body))
    with pytest.raises(TranscriptError, match=fault):
        load(path)


def test_tools_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([TOOL]))
    assert load_tools(path) == [TOOL]
    assert offered_tools([TOOL], None) == [TOOL]
    assert tool_names([TOOL, {"type": "code_interpreter"}]) == ["f", "interpreter"]
    with pytest.raises(ConfigError, match="two tools are called f"):
        offered_tools([TOOL, TOOL], None)
    path.write_text(json.dumps({"f": 1}))
    with pytest.raises(TranscriptError, match="not a list of tools"):
        load_tools(path)
