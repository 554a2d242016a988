"""The tools of a chat together, and with the built-in model."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import openai
import pytest

from glm3edge.errors import ConfigError
from glm3edge.tools.errors import ToolError
from glm3edge.tools.toolbox import Toolbox, open_toolbox
from tests.support.servers import Server

SAMPLES = "tests.support.sample_tools"


def refusal(**options: Any) -> str:
    async def main() -> None:
        async with open_toolbox(**options):
            pass

    with pytest.raises(ConfigError) as caught:
        asyncio.run(main())
    return str(caught.value)


def allowed(names: Sequence[str]) -> list[bool]:
    async def main() -> list[bool]:
        specs = [f"{SAMPLES}:weather", f"{SAMPLES}:nothing"]
        async with open_toolbox(functions=specs, allowed=names) as toolbox:
            return [toolbox.is_allowed(name) for name in ("weather", "nothing")]

    return asyncio.run(main())


def test_tools_run_without_a_question_only_if_they_are_allowed() -> None:
    assert allowed([]) == [False, False]
    assert allowed(["nothing"]) == [False, True]
    assert allowed(["*"]) == [True, True]


def test_slips_are_told() -> None:
    assert refusal(functions=[f"{SAMPLES}:nothing"], allowed=["noting"]) == (
        "--allow-tool noting: unknown tool; the tools are: nothing"
    )
    assert refusal(functions=[f"{SAMPLES}:nothing"] * 2) == (
        "--tool: two functions are called nothing"
    )


def test_an_empty_toolbox_has_no_tools() -> None:
    async def main() -> None:
        async with open_toolbox() as toolbox:
            assert toolbox.definitions() == []
            with pytest.raises(ToolError, match="unknown tool x; the tools are: none"):
                await toolbox.call("x", {})

    asyncio.run(main())


def test_results_and_reasons_are_fit_for_a_terminal() -> None:
    async def main() -> None:
        specs = [f"{SAMPLES}:echo", f"{SAMPLES}:complain"]
        async with open_toolbox(functions=specs) as toolbox:
            assert await toolbox.call("echo", {"text": "\x1b[2J红\x1b[31m"}) == "红"
            assert len(await toolbox.call("echo", {"text": "x" * 100_000})) < 17_000
            with pytest.raises(ToolError, match=r"^ValueError: \[no\]$"):
                await toolbox.call("complain", {"text": "\x1b[2J[no]"})

    asyncio.run(main())


def test_an_interpreter_that_stays_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "vax")
    assert refusal(code_interpreter=True).startswith(
        "the code interpreter stays off: its filter of system calls was not made for vax"
    )


@pytest.mark.live
@pytest.mark.parametrize(
    ("question", "options", "name", "result"),
    [
        (
            "What is the weather in Paris?",
            {"functions": [f"{SAMPLES}:get_weather"]},
            "get_weather",
            "sunny",
        ),
        ("计算 3+4", {"code_interpreter": True}, "interpreter", "7"),
    ],
)
def test_the_model_calls_a_tool_and_gets_its_result(
    server: Server, question: str, options: dict[str, Any], name: str, result: str
) -> None:
    client = openai.OpenAI(base_url=server.base_url, api_key="none")

    def reply(messages: list[Any], toolbox: Toolbox) -> Any:
        definitions: Any = toolbox.definitions()
        completion = client.chat.completions.create(
            model="glm3-tiny", messages=messages, tools=definitions, temperature=0
        )
        return completion.choices[0].message

    async def main() -> str:
        async with open_toolbox(**options) as toolbox:
            messages: list[Any] = [{"role": "user", "content": question}]
            message = reply(messages, toolbox)
            call = message.tool_calls[0]
            assert call.function.name == name
            text = await toolbox.call(name, json.loads(call.function.arguments))
            assert result in text
            messages += [message, {"role": "tool", "tool_call_id": call.id, "content": text}]
            return str(reply(messages, toolbox).content)

    with client:
        assert result in asyncio.run(main())
