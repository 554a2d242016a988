"""Turns with a real model: tools that run, prompts that are counted, failures on the way."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from rich.console import Console

from glm3edge.commands.chat.calls import REFUSED, InteractiveCallHandler, UnattendedCallHandler
from glm3edge.commands.chat.errors import ServerError
from glm3edge.commands.chat.reply import Reply
from glm3edge.commands.chat.sources.base import Usage
from glm3edge.commands.chat.sources.remote import RemoteSource
from glm3edge.commands.chat.terminal.display import PlainDisplay
from glm3edge.commands.chat.terminal.translations import Texts
from glm3edge.commands.chat.turn import Chat, check_length, take_turn
from glm3edge.errors import ConfigError, ContextLengthExceededError
from glm3edge.tools.errors import ToolError
from tests.support.servers import Server
from tests.support.weather import WEATHER

pytestmark = pytest.mark.live

QUESTION = "What is the weather in Paris?"


class Weather:
    """A toolbox with one tool. See ``Toolbox``."""

    def __init__(self, *, is_allowed: bool = False, fails: bool = False) -> None:
        self._is_allowed = is_allowed
        self._fails = fails
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def definitions(self) -> list[dict[str, Any]]:
        return [WEATHER]

    def is_allowed(self, name: str) -> bool:
        return self._is_allowed

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        self.calls.append((name, arguments))
        if self._fails:
            raise ToolError("no network")
        return "sunny, 25 degrees"


def with_chat(
    server: Server, work: Callable[[Chat], Coroutine[Any, Any, Any]], **parts: Any
) -> Any:
    """The result of ``work`` with a chat of ``server``."""

    async def run() -> Any:
        async with aclosing(RemoteSource(server.base_url)) as source:
            await source.open()
            chat = Chat(source, **parts)
            chat.options.set("temperature", "0")
            return await work(chat)

    return asyncio.run(run())


def talk(
    server: Server, toolbox: Weather, *answers: str, questions: int = 1
) -> tuple[Chat, Reply, str]:
    """Ask about the weather; ``answers`` are typed when something is asked."""
    screen = io.StringIO()
    console, texts = Console(file=screen, width=80), Texts("en")
    typed = iter(answers)

    async def ask(question: str) -> str:
        screen.write(question)
        return next(typed)

    async def work(chat: Chat) -> Reply:
        caller = InteractiveCallHandler(console, texts, ask, toolbox)
        for _ in range(questions):
            chat.conversation.reset()
            chat.conversation.ask(QUESTION)
            reply = await take_turn(chat, PlainDisplay(screen), caller, texts)
        assert next(typed, None) is None
        found.append(chat)
        return reply

    found: list[Chat] = []
    reply = with_chat(server, work, toolbox=toolbox)
    return found[0], reply, screen.getvalue()


@pytest.mark.parametrize("answer", ["y", "always", "是", None])
def test_a_tool_runs_and_its_result_is_told(server: Server, answer: str | None) -> None:
    toolbox = Weather(is_allowed=answer is None)
    chat, reply, screen = talk(server, toolbox, *filter(None, [answer]))
    assert toolbox.calls == [("get_weather", {"city": "Paris"})]
    assert "sunny, 25 degrees" in reply.text
    roles = [message["role"] for message in chat.conversation.messages]
    assert roles == ["user", "assistant", "tool", "assistant"]
    assert "call get_weather" in screen
    assert ("run it?" in screen) == (answer is not None)


def test_always_is_asked_once(server: Server) -> None:
    toolbox = Weather()
    talk(server, toolbox, "a", questions=2)
    assert len(toolbox.calls) == 2


def test_a_call_is_not_allowed(server: Server) -> None:
    toolbox = Weather()
    chat, _, _ = talk(server, toolbox, "")
    assert toolbox.calls == []
    assert chat.conversation.messages[2]["content"] == REFUSED


def test_a_tool_fails(server: Server) -> None:
    chat, _, screen = talk(server, Weather(fails=True), "y")
    assert chat.conversation.messages[2]["content"] == "error: no network"
    assert "error: no network" in screen


def test_nobody_can_be_asked(server: Server) -> None:
    console = Console(file=io.StringIO())

    async def work(chat: Chat) -> None:
        chat.conversation.ask(QUESTION)
        caller = UnattendedCallHandler(console, Texts("en"), chat.toolbox)
        await take_turn(chat, PlainDisplay(io.StringIO()), caller, Texts("en"))

    toolbox = Weather()
    with pytest.raises(ToolError, match="allow it by name"):
        with_chat(server, work, toolbox=toolbox)
    assert toolbox.calls == []
    toolbox = Weather(is_allowed=True)
    with_chat(server, work, toolbox=toolbox)
    assert len(toolbox.calls) == 1


def test_prompts_are_counted_to_the_token(server: Server) -> None:
    async def work(chat: Chat) -> None:
        chat.conversation.system = "你是一个助手。"
        chat.conversation.ask("What is glm3edge?")
        chat.conversation.add_reply("一个\n程序 <|user|>")
        chat.conversation.ask(QUESTION)
        chat.options.set("max_tokens", "1")
        for tools in ([], [WEATHER]):
            chat.file_tools = tools
            count = await chat.source.count_prompt(chat.body)
            used = [event async for event in chat.source.stream(chat.body)][-1]
            assert isinstance(used, Usage)
            assert used.prompt == count
        assert count is not None
        chat.options.set("max_tokens", str(1024 - count))
        assert await check_length(chat, chat.body) == count
        chat.options.set("max_tokens", str(1025 - count))
        with pytest.raises(ContextLengthExceededError):
            await check_length(chat, chat.body)

    with_chat(server, work)


def test_what_a_server_refuses_is_said(server: Server) -> None:
    async def work(chat: Chat) -> None:
        body = {"messages": [{"role": "user", "content": "hi"}], "tool_choice": "required"}
        with pytest.raises(ServerError, match="tool_choice required needs tools") as caught:
            await anext(chat.source.stream(body))
        assert caught.value.status == 400

    with_chat(server, work)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\nno such page", "answered 404: no such page"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "did not answer with JSON"),
        (b"HTTP/1.1 200 OK\r\n\r\n[1]", "not a server with OpenAI's routes"),
        (b"garbage\r\n\r\n", "127.0.0.1"),
    ],
)
def test_servers_of_something_else(reply: bytes, message: str) -> None:
    async def run() -> None:
        async with _answering(reply) as url, aclosing(RemoteSource(url)) as source:
            await source.open()

    with pytest.raises(ServerError, match=message):
        asyncio.run(run())


def test_a_stream_breaks_off() -> None:
    event = {"choices": [{"delta": {"content": "half"}}]}
    events = {
        "breaks off": b"",
        "sent something that is not a chat event": b"data: nonsense\n\n",
        "the engine is lost": b'data: {"error": {"message": "the engine is lost"}}\n\n',
    }

    async def run(message: str, rest: bytes) -> str:
        head = b"HTTP/1.1 200 OK\r\n\r\n"
        data = head + b": ping\n\ndata: " + json.dumps(event).encode() + b"\n\n" + rest
        async with _answering(data) as url, aclosing(RemoteSource(url)) as source:
            chat = Chat(source)
            chat.conversation.ask("hi")
            caller = UnattendedCallHandler(Console(file=io.StringIO()), Texts("en"), None)
            with pytest.raises(ServerError, match=message.replace("breaks off", "broke off")):
                await take_turn(chat, PlainDisplay(io.StringIO()), caller, Texts("en"))
            return str(chat.conversation.messages[-1]["content"])

    for message, rest in events.items():
        assert asyncio.run(run(message, rest)) == "half"  # what has come is kept


def test_a_model_that_is_not_served(server: Server) -> None:
    async def run() -> None:
        async with aclosing(RemoteSource(server.base_url, model="gpt")) as source:
            await source.open()

    with pytest.raises(ConfigError, match="does not serve gpt, but glm3-tiny"):
        asyncio.run(run())


def test_no_address() -> None:
    for url in ("ftp://x", "http://", "http://[::1"):
        with pytest.raises(ConfigError):
            RemoteSource(url)


@asynccontextmanager
async def _answering(reply: bytes) -> AsyncIterator[str]:
    """A server that sends ``reply`` to whatever it is asked; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
