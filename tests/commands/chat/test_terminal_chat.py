"""``glm3edge chat`` in a pseudo-terminal, with the built-in model."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import HANG_SECONDS
from tests.support.paths import SUPPORT
from tests.support.servers import Server, start_server, stop_server
from tests.support.terminal import Terminal
from tests.support.weather import WEATHER

pytestmark = pytest.mark.live

HELLO = "你好！我是 glm3edge 的演示模型。"
GREEDY = ("--set", "temperature=0")
ENDLESS = (*GREEDY, "--set", "repetition_penalty=0.5", "--ctx-size", "8192")
"""Makes the model repeat itself until the context is full."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of its own, so that nothing of the user's is read or written."""
    folder = tmp_path_factory.mktemp("chat")
    return {
        "GLM3EDGE_CACHE_DIR": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
        "LC_ALL": "en_US.UTF-8",
    }


@pytest.fixture
def tools_file(tmp_path: Path) -> Path:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([WEATHER]))
    return path


@pytest.fixture(scope="module")
def guarded_server(environment: dict[str, str]) -> Iterator[Server]:
    """A server that wants a key."""
    cache = environment["GLM3EDGE_CACHE_DIR"]
    server = start_server(GLM3EDGE_CACHE_DIR=cache, GLM3EDGE_API_KEY="sesame")
    yield server
    assert stop_server(server) == 0


def one_shot(
    *arguments: str, environment: dict[str, str], text: bytes = b"", command: str = "chat"
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "glm3edge", command, *arguments],
        env={**os.environ, **environment},
        input=text,
        capture_output=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_conversation(environment: dict[str, str], tmp_path: Path, tools_file: Path) -> None:
    """One conversation: both languages, commands, a call whose result is typed, a saved file."""
    saved = tmp_path / "chat.json"
    with Terminal("chat", *GREEDY, environment=environment) as terminal:
        first = terminal.wait_for("glm3-tiny")
        assert first.startswith("loading glm3-tiny")
        terminal.wait_prompt()
        terminal.send("你好")
        terminal.wait_for(HELLO)
        terminal.wait_prompt()
        terminal.send("What is glm3edge?")
        terminal.wait_for("glm3edge converts ChatGLM3-6B")
        terminal.wait_prompt()
        terminal.send("/staz")
        terminal.wait_for("There is no command /staz (did you mean /stats?)")
        terminal.wait_prompt()
        terminal.send("/stats")
        terminal.wait_for("of 1024 tokens used", "2 replies")
        terminal.wait_prompt()
        terminal.send("/undo")
        terminal.wait_for("removed: What is glm3edge?")
        terminal.wait_prompt()
        terminal.send(f"/tools {tools_file}")
        terminal.wait_for("tools: get_weather")
        terminal.wait_prompt()
        terminal.send("What is the weather in Paris?")
        terminal.wait_for('"city": "Paris"', "result of get_weather>")
        terminal.send("sunny, 25 degrees")
        terminal.wait_for("sunny, 25 degrees", times=2)
        terminal.wait_prompt()
        terminal.send("/regenerate")
        terminal.wait_for("result of get_weather>", times=2)
        terminal.press("ctrl-c")
        terminal.wait_for("The call is canceled.")
        terminal.wait_prompt()
        terminal.send(f"/save {saved}")
        terminal.wait_for("saved 3 messages")
        terminal.wait_prompt()
        terminal.press("ctrl-d")
        assert terminal.wait_end() == 0
    body = json.loads(saved.read_text(encoding="utf-8"))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == HELLO
    assert saved.stat().st_mode & 0o077 == 0
    assert body["settings"] == {"temperature": 0}


def test_a_function_is_called(environment: dict[str, str], server: Server) -> None:
    """Once it is allowed; the second time it stays so."""
    function = f"{SUPPORT / 'sample_tools.py'}:get_weather"
    arguments = ("--base-url", server.base_url, "--tool", function, *GREEDY)
    question = "What is the weather in Paris?"
    with Terminal("chat", *arguments, environment=environment) as terminal:
        terminal.wait_prompt()
        terminal.send(question)
        terminal.wait_for('"city": "Paris"', "run it? [y/N/a(lways)]")
        terminal.send("a")
        terminal.wait_for("← result")
        terminal.wait_prompt()
        terminal.send(question)
        terminal.wait_for("← result", times=2)
        terminal.wait_prompt()
        assert terminal.text.count("run it?") == 1
        terminal.press("ctrl-d")
        assert terminal.wait_end() == 0
    result = one_shot(*arguments, question, environment=environment)
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"allow it by name" in result.stderr
    result = one_shot(*arguments, "--allow-tool", "get_weather", question, environment=environment)
    assert result.returncode == 0
    assert b"call get_weather" in result.stderr
    assert b"get_weather" not in result.stdout


def test_a_reply_is_stopped_and_windows_change(environment: dict[str, str]) -> None:
    environment = {**environment, "LC_ALL": "zh_CN.UTF-8"}
    with Terminal("chat", *ENDLESS, environment=environment) as terminal:
        terminal.wait_prompt()
        assert "正在加载 glm3-tiny" in terminal.text
        terminal.send("你好")
        terminal.wait_for("你你你你你")
        terminal.type("pressed meanwhile")  # Ctrl-C throws it away
        terminal.resize(50, 12)
        terminal.drain(0.3)
        terminal.resize(100, 30)
        terminal.press("ctrl-c")
        terminal.wait_for("（已停止）")
        terminal.wait_prompt()
        assert "pressed meanwhile" not in terminal.text
        assert "Traceback" not in terminal.text
        terminal.send("/set repetition_penalty default")
        terminal.wait_for("repetition_penalty：默认")
        terminal.wait_prompt()
        terminal.send("/reset")
        terminal.wait_for("对话已清空")
        terminal.wait_prompt()
        terminal.send("你好")
        terminal.wait_for(HELLO)
        terminal.wait_prompt()
        terminal.type("half a line")
        terminal.press("ctrl-c")
        terminal.wait_prompt()
        terminal.press("ctrl-c")
        terminal.wait_for("再按一次 Ctrl-C")
        terminal.wait_prompt()
        terminal.press("ctrl-c")
        assert terminal.wait_end() == 0


def test_lines(environment: dict[str, str], server: Server, tmp_path: Path) -> None:
    """Against a server: history, lines that go on, pasted lines, what is too long; no colours."""
    environment = {**environment, "NO_COLOR": "1"}
    saved = tmp_path / "chat.json"
    arguments = ("chat", "--base-url", server.url, *GREEDY, "--set", "max_tokens=8")
    with Terminal(*arguments, environment=environment) as terminal:
        terminal.wait_prompt()
        terminal.type("一 one")
        terminal.press("alt-enter")
        terminal.type("two\\")
        terminal.press("enter")
        terminal.send("three")
        terminal.wait_prompt()
        terminal.paste("pasted\nlines \\\nthree")
        terminal.press("enter")
        terminal.wait_prompt()
        terminal.send('"""')
        terminal.send("quoted")
        terminal.send('"""')
        terminal.wait_prompt()
        terminal.send(" a secret line")
        terminal.wait_prompt()
        terminal.send(f"/save {saved}")
        terminal.wait_for("saved 8 messages")
        terminal.wait_prompt()
        terminal.paste("long " * 1200)
        terminal.press("enter")
        text = terminal.wait_for("too long and was not sent:", "/reset").replace("\n", " ")
        assert "the context holds 1024" in text
        assert not re.search(rb"\x1b\[(\d+;)*[349][0-7]m", terminal.output)
        terminal.wait_prompt()
        terminal.send("/exit")
        assert terminal.wait_end() == 0
    messages = json.loads(saved.read_text(encoding="utf-8"))["messages"]
    said = [message["content"] for message in messages if message["role"] == "user"]
    assert said == ["一 one\ntwo\nthree", "pasted\nlines \\\nthree", "quoted", "a secret line"]

    history = Path(environment["XDG_STATE_HOME"]) / "glm3edge" / "chat-history"
    assert history.stat().st_mode & 0o077 == 0
    assert "secret" not in history.read_text(encoding="utf-8")
    with Terminal(*arguments, environment=environment) as terminal:
        terminal.wait_prompt()
        terminal.press("up", "up", "up", "up")
        terminal.wait_for("quoted")
        terminal.press("ctrl-c")
        terminal.wait_prompt()
        terminal.press("ctrl-d")
        assert terminal.wait_end() == 0


def test_failures_keep_the_conversation(
    environment: dict[str, str], guarded_server: Server
) -> None:
    arguments = ("chat", "--base-url", guarded_server.base_url, *GREEDY)
    refused = one_shot(*arguments[1:], "你好", environment=environment)
    assert refused.returncode == 1
    assert b"needs an API key: set GLM3EDGE_API_KEY" in refused.stderr
    with Terminal(
        *arguments, environment={**environment, "GLM3EDGE_API_KEY": "sesame"}
    ) as terminal:
        terminal.wait_prompt()
        terminal.send("你好")
        terminal.wait_for(HELLO)
        terminal.wait_prompt()
        guarded_server.process.send_signal(signal.SIGTERM)
        guarded_server.process.wait(30)
        terminal.send("你好")
        terminal.wait_for("error: cannot reach", "The conversation is kept")
        terminal.wait_prompt()
        terminal.send("/undo")
        terminal.wait_for("removed: 你好")
        terminal.wait_prompt()
        terminal.press("ctrl-d")
        assert terminal.wait_end() == 0


def test_one_shot(environment: dict[str, str]) -> None:
    result = one_shot(*GREEDY, environment=environment, text="你好\n".encode())
    assert result.returncode == 0
    assert result.stdout.decode() == f"{HELLO}\n"
    assert result.stderr.decode() == "loading glm3-tiny (the built-in demo) ...\n"


def test_run(environment: dict[str, str], tiny_checkpoint: Path) -> None:
    """A model, which is converted, and the words of a prompt after it; or a variable's model."""
    short = ("--set", "max_tokens=1", *GREEDY)
    arguments = (str(tiny_checkpoint), "How", "are you?", "--type", "q8_0", *short)
    result = one_shot(*arguments, environment=environment, command="run")
    assert result.returncode == 0, result.stderr
    assert result.stderr.startswith(f"loading {tiny_checkpoint} ...\n".encode())
    assert result.stdout
    environment = {**environment, "GLM3EDGE_MODEL": str(tiny_checkpoint), "GLM3EDGE_TYPE": "q8_0"}
    again = one_shot(*short, environment=environment, command="run", text=b"How are you?")
    assert (again.returncode, again.stdout) == (0, result.stdout)
    again = one_shot(*short, "How are you?", environment=environment)
    assert (again.returncode, again.stdout) == (0, result.stdout)


def test_an_engine_elsewhere(environment: dict[str, str], local_server: Server) -> None:
    """It was ignored once."""
    variables = {**environment, "GLM3EDGE_ENGINE": local_server.url}
    result = one_shot(*GREEDY, "你好", environment=variables)
    assert (result.returncode, result.stdout.decode()) == (0, f"{HELLO}\n"), result.stderr
    result = one_shot("--ctx-size", "512", "你好", environment=variables)
    assert result.returncode == 2
    assert b"--ctx-size does not work with --engine" in result.stderr
    result = one_shot("--engine", "http://127.0.0.1:9", "你好", environment=environment)
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"error: --engine http://127.0.0.1:9" in result.stderr


def test_one_shot_of_a_server(
    environment: dict[str, str], server: Server, tools_file: Path, tmp_path: Path
) -> None:
    arguments = ("--base-url", server.base_url, *GREEDY)
    result = one_shot(*arguments, "What is glm3edge?", environment=environment)
    assert result.stdout.startswith(b"glm3edge converts ChatGLM3-6B")

    result = one_shot(
        *arguments, "--tools", str(tools_file), "What is the weather in Paris?",
        environment=environment,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"the model calls get_weather, which cannot be run here" in result.stderr

    result = one_shot(*arguments, "Summarize", environment=environment, text=b"long " * 1200)
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"the context holds 1024" in result.stderr.replace(b"\n", b" ")


def test_nobody_reads_the_reply(environment: dict[str, str], server: Server) -> None:
    """``| head -c 1`` ends the reply, without a traceback."""
    command = f"{sys.executable} -m glm3edge chat --base-url {server.base_url} 'What is glm3edge?'"
    result = subprocess.run(
        ["bash", "-c", f"{command} </dev/null | true; echo ${{PIPESTATUS[0]}}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert result.stdout == "141\n"
    assert "Traceback" not in result.stderr
