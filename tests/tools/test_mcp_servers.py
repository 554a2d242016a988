"""MCP servers: a real one, made with the official package, as a process of its own."""

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from glm3edge.errors import ConfigError
from glm3edge.schema.chat import Tool
from glm3edge.tools import mcp_servers
from glm3edge.tools.errors import ToolError
from glm3edge.tools.mcp_servers import free_name
from glm3edge.tools.toolbox import Toolbox, open_toolbox
from tests.support.optional import need_module
from tests.support.paths import SUPPORT

pytestmark = pytest.mark.slow

SERVER = SUPPORT / "mcp_server.py"
PAGED = "paged_mcp_server.py"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file that names the server; its process writes its id to ``pid`` beside it."""
    module = need_module("mcp", "the mcp package is not installed")
    assert module.__file__ is not None
    entry = {
        "command": sys.executable,
        "args": [str(SERVER), str(tmp_path / "pid")],
        "env": {"PYTHONPATH": str(Path(module.__file__).parents[1]), "KEY": "for this server"},
        "autoApprove": ["for other programs"],
    }
    path = tmp_path / "servers.json"
    servers = {"demo": entry, "off": {"command": "missing", "disabled": True}}
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def pid(config: Path) -> int:
    return int(config.with_name("pid").read_text())


async def outcome(toolbox: Toolbox, name: str, arguments: dict[str, Any] | None = None) -> str:
    try:
        return await toolbox.call(name, arguments or {})
    except ToolError as exc:
        return f"failed: {exc}"


def test_tools_are_listed_and_called_and_a_crash_leaves_the_chat_going(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf-secret")
    caplog.set_level(logging.INFO, "glm3edge")

    async def main() -> None:
        async with open_toolbox(mcp=[str(config)]) as toolbox:
            names = [one["function"]["name"] for one in toolbox.definitions()]
            assert names == [
                *("get-weather", "fail", "environment", "picture", "hang", "die"),
            ]
            for definition in toolbox.definitions():
                Tool.model_validate(definition)
            assert toolbox.definitions()[0]["function"] == {
                "name": "get-weather",
                "description": "天气预报",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "city": {"type": "string", "description": "城市"},
                        "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
                    },
                    "required": ["city"],
                },
            }
            assert await outcome(toolbox, "get-weather", {"city": "北京"}) == "北京: 3 c"
            assert (await outcome(toolbox, "get-weather", {})).startswith("failed: ")
            assert (await outcome(toolbox, "fail")).startswith("failed: Error executing tool fail")
            assert await outcome(toolbox, "picture") == "[image, image/png, not shown]"
            environment = json.loads(await outcome(toolbox, "environment"))
            assert environment["KEY"] == "for this server"
            assert "HF_TOKEN" not in environment
            for name in ("die", "get-weather"):
                assert (
                    await outcome(toolbox, name, {}) == "failed: MCP server demo: Connection closed"
                )

    asyncio.run(main())
    assert "MCP server demo: what servers say in red" in caplog.messages
    assert capfd.readouterr() == ("", "")


def test_a_call_that_takes_too_long_or_is_given_up_leaves_the_server_usable(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_servers, "CALL_SECONDS", 1.5)

    async def main() -> None:
        async with open_toolbox(mcp=[str(config)]) as toolbox:
            reply = await outcome(toolbox, "hang")
            assert reply.startswith("failed: MCP server demo: ")
            task = asyncio.create_task(toolbox.call("hang", {}))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await outcome(toolbox, "get-weather", {"city": "x"}) == "x: 3 c"
            assert psutil.pid_exists(pid(config))

    start = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - start < 60
    assert not psutil.pid_exists(pid(config))


def test_all_pages_are_read_and_names_are_made_fit_and_found_again(config: Path) -> None:
    servers = json.loads(config.read_text())
    demo = servers["mcpServers"].pop("demo")
    servers["mcpServers"]["my server"] = demo | {"args": [str(SERVER.with_name(PAGED))]}
    config.write_text(json.dumps(servers))

    async def main() -> None:
        async with open_toolbox(mcp=[str(config)]) as toolbox:
            names = [one["function"]["name"] for one in toolbox.definitions()]
            assert names == ["files_read_text", "my_server_interpreter", "third"]
            arguments = {"file-path": "a.txt"}
            reply = await outcome(toolbox, "files_read_text", arguments)
            assert reply == '["files/read.text", {"file-path": "a.txt"}]\n第二'
            reply = await outcome(toolbox, "my_server_interpreter")
            assert reply == '["interpreter", {}]\n第二'

    asyncio.run(main())


def refusal(*specs: str) -> str:
    async def main() -> None:
        async with open_toolbox(mcp=specs):
            pass

    with pytest.raises(ConfigError) as caught:
        asyncio.run(main())
    return str(caught.value)


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    need_module("mcp", "the mcp package is not installed")
    assert "could not be started" in refusal("glm3edge-no-such-command")
    path = tmp_path / "broken.py"
    path.write_text("raise SystemExit('no \\x1b[31mkey')")
    assert refusal(f"{sys.executable} {path}") == (
        "MCP server broken could not be started: Connection closed; the last that it wrote: no key"
    )


def test_a_server_that_says_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_module("mcp", "the mcp package is not installed")
    monkeypatch.setattr(mcp_servers, "START_SECONDS", 0.5)
    path = tmp_path / "silent.py"
    path.write_text("import sys\nsys.stdin.read()")
    assert refusal(f"{sys.executable} {path}") == "MCP server silent did not answer within 0.5 s"


def test_the_package_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    assert refusal("server") == (
        "--mcp needs the mcp package, version 2: pip install 'glm3edge[mcp]'"
    )


def test_names_are_made_free_and_plain() -> None:
    assert free_name("read", "files", {"write"}) == "read"
    assert free_name("读/取 x", "files", ()) == "____x"
    assert free_name("read", "my files", {"read"}) == "my_files_read"
    assert free_name("read", "f", {"read", "f_read"}) == "f_read_2"
    assert len(free_name("a" * 200, "f", {"a" * 64, f"f_{'a' * 62}"})) <= 64


def test_this_files_process_has_no_server_left() -> None:
    children = psutil.Process(os.getpid()).children(recursive=True)
    assert not [child for child in children if str(SERVER) in child.cmdline()]
