"""Functions as tools."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from glm3edge.errors import ConfigError
from glm3edge.schema.chat import Tool as ChatTool
from glm3edge.tools.errors import ToolError
from glm3edge.tools.functions import function_tool
from tests.support.calls import call_grammar

SAMPLES = "tests.support.sample_tools"


def call(name: str, /, **arguments: Any) -> str:
    async def main() -> str:
        return await function_tool(f"{SAMPLES}:{name}").run(arguments)

    return asyncio.run(main())


def failure(name: str, /, **arguments: Any) -> str:
    with pytest.raises(ToolError) as caught:
        call(name, **arguments)
    return str(caught.value)


def refusal(spec: str) -> str:
    with pytest.raises(ConfigError) as caught:
        function_tool(spec)
    return str(caught.value)


def test_signature_and_docstring_make_the_definition() -> None:
    tool = function_tool(f"{SAMPLES}:weather")
    kinds = {"type": "array", "items": {"enum": ["rain", "wind"], "type": "string"}}
    assert tool.definition["function"] == {
        "name": "weather",
        "description": "查询天气。\n\nLonger words.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"description": "城市名", "type": "string"},
                "days": {"description": "how many days.", "type": "integer", "default": 1},
                "unit": {
                    "description": "A unit.",
                    "enum": ["c", "f"],
                    "type": "string",
                    "default": "c",
                },
                "kinds": {
                    "description": "what to look for.",
                    "anyOf": [kinds, {"type": "null"}],
                    "default": None,
                },
            },
            "required": ["city"],
            "additionalProperties": False,
        },
    }
    assert call_grammar(ChatTool.model_validate(tool.definition))


def test_arguments_are_checked_and_become_what_the_function_wants() -> None:
    assert call("weather", city="北京", days="3", unit="f") == (
        '{"城市": "北京", "days": 3, "unit": "f", "kinds": null}'
    )
    assert failure("weather", days=1) == "city: Field required"
    assert failure("weather", city="x", days="two", wind=1) == (
        "days: Input should be a valid integer, unable to parse string as an integer; "
        "wind: Extra inputs are not permitted"
    )
    assert failure("weather", city="x", kinds=["rain", "snow"]).startswith("kinds.1: Input should")


def test_odd_parameters_work() -> None:
    parameters = function_tool(f"{SAMPLES}:odd").parameters
    assert parameters["required"] == ["_x", "model_config", "place", "ratio"]
    assert parameters["properties"]["free"] == {"default": None}
    assert parameters["properties"]["default"] == {}
    assert parameters["properties"]["ratio"]["description"] == "of one"
    reply = call("odd", _x=1, model_config={"a": 2}, place={"name": "北京"}, ratio=0.5)
    assert reply == '[1, {"a": 2}, {"name": "北京", "height": 0.0}, 0.5, null, "object"]'
    assert failure("odd", _x=1, model_config={}, place={"name": "x"}, ratio=0).startswith("ratio:")


def test_functions_run_whatever_their_kind() -> None:
    assert call("slow", seconds=0) == "0.0 s"
    assert call("blocking", seconds=0) == "late"
    assert call("nothing") == "null"
    assert call("Shop.price", name="abc") == "3.0"


def test_exceptions_are_told() -> None:
    assert failure("fails") == "KeyError: '北京'"
    assert failure("ends") == "RuntimeError: SystemExit(3)"
    assert failure("stops") == "RuntimeError: StopIteration()"


@pytest.mark.parametrize("name", ["slow", "blocking"])
def test_a_call_has_a_limit(name: str) -> None:
    async def main() -> str:
        tool = function_tool(f"{SAMPLES}:{name}", seconds=0.1)
        with pytest.raises(ToolError) as caught:
            await tool.run({"seconds": 600})
        return str(caught.value)

    start = time.monotonic()
    assert asyncio.run(main()) == "it took longer than 0.1 s"
    assert time.monotonic() - start < 100  # nothing waits for the thread


def test_a_program_ends_though_a_tool_hangs() -> None:
    program = f"""
import asyncio
from glm3edge.tools.errors import ToolError
from glm3edge.tools.functions import function_tool
async def main():
    await function_tool("{SAMPLES}:blocking", seconds=0.1).run({{"seconds": 600}})
try:
    asyncio.run(main())
except ToolError as exc:
    print(exc)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("it took longer than 0.1 s\n", "")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("weather", "name it as module:function or path/to/file.py:function"),
        (":f", "name it as module:function"),
        ("no.such.module:f", "importing no.such.module failed: ModuleNotFoundError: No module"),
        ("missing/file.py:f", "there is no file missing/file.py"),
        (f"{SAMPLES}:wether", f"{SAMPLES} has no wether; its functions: weather, slow, blocking"),
        (f"{SAMPLES}:not_callable", "not_callable is not a function"),
        (f"{SAMPLES}:Unit", "Unit is not a function"),
        (f"{SAMPLES}:many", "*cities: str has no fixed names, and a call names its arguments"),
        (f"{SAMPLES}:more", "**options: str has no fixed names"),
        (f"{SAMPLES}:by_place", "a cannot be given by name"),
        (f"{SAMPLES}:strange", "its parameters have no schema: Unable to generate pydantic-core"),
        (f"{SAMPLES}:wrong", "its signature cannot be read: name 'NoSuchType' is not defined"),
        (f"{SAMPLES}:interpreter", "interpreter is the name of the code interpreter"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_the_reason(spec: str, reason: str) -> None:
    assert refusal(spec).startswith(f"--tool {spec}: {reason}")


def test_functions_come_from_files_with_what_lies_beside_them(tmp_path: Path) -> None:
    (tmp_path / "glm3edge_beside.py").write_text("WORD = '旁边'")
    file = tmp_path / "my_tools.py"
    file.write_text(
        "from __future__ import annotations\nimport glm3edge_beside\n"
        "class Answer: pass\n"
        "def word(times: int) -> str:\n    '''Say it.'''\n    return glm3edge_beside.WORD * times\n"
    )
    before = list(sys.path)
    try:
        tool = function_tool(f"{file}:word")
        assert tool.parameters["properties"] == {"times": {"type": "integer"}}

        async def main() -> str:
            return await tool.run({"times": 2})

        assert asyncio.run(main()) == "旁边旁边"
    finally:
        sys.path[:] = before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit", "SystemExit"),
        ("if:", "SyntaxError: invalid syntax"),
    ],
)
def test_a_file_that_fails_is_told(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "broken_tools.py"
    file.write_text(text)
    before = list(sys.path)
    try:
        assert f"importing {file} failed: {reason}" in refusal(f"{file}:f")
    finally:
        sys.path[:] = before
