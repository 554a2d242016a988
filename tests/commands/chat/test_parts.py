"""The parts of the chat that need no model: commands, options, conversations, files, texts."""

import json
import string
from pathlib import Path
from typing import Any

import pytest

from glm3edge.commands.chat.calls import pretty
from glm3edge.commands.chat.conversation import Call, Conversation, offered_tools, tool_names
from glm3edge.commands.chat.errors import TranscriptError
from glm3edge.commands.chat.generation_options import GenerationOptions
from glm3edge.commands.chat.reply import Reply, Stats
from glm3edge.commands.chat.slash_commands import ARGUMENTS, Command, parse_command
from glm3edge.commands.chat.sources.base import CallDelta, Finished, TextDelta, Usage, read_chunk
from glm3edge.commands.chat.terminal.reader import PrivateHistory, is_unfinished, message_of
from glm3edge.commands.chat.terminal.translations import TEXTS, Texts, user_language
from glm3edge.commands.chat.transcript import Transcript, load, load_tools, save
from glm3edge.errors import ConfigError

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = Call("call_1", "f", '{"a": 1}')


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/help", Command("help")),
        ("/HELP ", Command("help")),
        ("/quit", Command("exit")),
        ("/system You are\na poet", Command("system", "You are\na poet")),
        ("/set temperature 0.7", Command("set", "temperature 0.7")),
        ("/sistem x", Command("sistem", "x")),
        (" /help", None),
        ("/usr/bin is what?", None),
        ("/", None),
        ("你好 /help", None),
    ],
)
def test_commands(line: str, command: Command | None) -> None:
    assert parse_command(line) == command


def test_nearest_command() -> None:
    assert Command("sistem").nearest == "system"
    assert Command("xyzzy").nearest is None


def test_options() -> None:
    options = GenerationOptions()
    options.set("temperature", "0.7")
    options.set("stop", "END")
    options.set("max_tokens", "5")
    assert options.body == {"temperature": 0.7, "stop": "END", "max_tokens": 5}
    options.set("stop", "default")
    assert (options.max_tokens, "stop" in options.body) == (5, False)
    for name, value in [("temperature", "hot"), ("max_tokens", "0"), ("model", "x")]:
        with pytest.raises(ConfigError, match=name):
            options.set(name, value)


def test_a_question_without_an_answer_gives_way() -> None:
    conversation = Conversation(system="Be brief.")
    conversation.ask("first")
    conversation.ask("second")
    conversation.add_reply("")
    conversation.add_reply("reply")
    conversation.ask("third")
    conversation.add_reply("", [CALL])
    conversation.add_result(CALL, "1")
    conversation.add_reply("done")
    roles = [message["role"] for message in conversation.all_messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "tool", "assistant"]
    assert conversation.rewind()
    assert conversation.messages[-1] == {"role": "user", "content": "third"}
    assert conversation.undo() == "third"
    assert conversation.undo() == "second"
    assert conversation.undo() is None
    assert not conversation.rewind()


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
    with pytest.raises(TranscriptError, match="no saved chat"):
        save(Transcript(messages=[]), path)
    assert path.read_text() == "years of work"
    with pytest.raises(TranscriptError, match="No such file"):
        save(Transcript(messages=[]), tmp_path / "none" / "chat.json")


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
        ({}, "no list of messages"),
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
    with pytest.raises(TranscriptError, match="no list of tools"):
        load_tools(path)


def test_a_reply_is_put_together() -> None:
    reply = Reply()
    chunk = {
        "choices": [
            {
                "delta": {
                    "content": "a",
                    "tool_calls": [
                        {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
                    ],
                }
            }
        ]
    }
    events = list(read_chunk(chunk))
    assert events == [TextDelta("a"), CallDelta(0, "c", "f", "{")]
    for event in [*events, CallDelta(0, None, None, "}"), Finished("tool_calls"), Usage(9, 4, 3)]:
        reply.feed(event)
    assert (reply.text, reply.calls) == ("a", [Call("c", "f", "{}")])
    assert list(read_chunk({"choices": [], "usage": {"prompt_tokens": 1}})) == [Usage(1, 0, 0)]
    stats = Stats()
    assert list(stats.lines(Texts("en"), 100)) == ["Nothing has been said yet."]
    stats.add(reply)
    lines = "\n".join(stats.lines(Texts("en"), 100))
    assert "9 tokens, 4 of them from the KV cache" in lines
    assert "12 of 100 tokens used (12 %)" in lines
    reply.stop()
    assert reply.calls == []


def test_arguments_for_the_eye() -> None:
    assert pretty('{"city":"北京"}') == '{\n  "city": "北京"\n}'
    assert pretty('{"code":"print(1)\\nprint(2)"}') == "print(1)\nprint(2)"
    assert pretty('{"half') == '{"half'


def test_messages_in_quotes() -> None:
    assert is_unfinished('"""one')
    assert is_unfinished('"""')
    assert not is_unfinished('"""one\n"""')
    assert message_of('"""\none\n  two\n"""') == "one\n  two"
    assert message_of(" one ") == "one"


def test_history_is_private_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glm3edge.commands.chat.terminal.reader._MAX_ENTRIES", 3)
    path = tmp_path / "state" / "history"
    history = PrivateHistory(path)
    for line in ["one", " secret", "two\nlines", *map(str, range(10))]:
        history.append_string(line)
    assert path.stat().st_mode & 0o077 == 0
    assert "secret" not in path.read_text()
    assert "two\n+lines" in path.read_text()
    assert list(PrivateHistory(path).load_history_strings()) == ["9", "8", "7"]


def test_texts_say_the_same_in_both_languages() -> None:
    for key, (english, chinese) in TEXTS.items():
        fields = [
            sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)
            for text in (english, chinese)
        ]
        assert fields[0] == fields[1], key
    assert all(f"help_{name}" in TEXTS for name in ARGUMENTS)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_TW"}, "zh"),
        ({"LANG": "C"}, "en"),
    ],
)
def test_language(environment: dict[str, str], language: str) -> None:
    assert user_language(environment) == language
