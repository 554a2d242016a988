import json
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.chatglm3.tools import call_text, parse_call, system_text
from glm3edge.limits import MAX_ARGUMENT_CHARS
from glm3edge.schema.chat import Tool


def call(arguments: str) -> str:
    return f"```python\ntool_call({arguments})\n```"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        ("a=1", {"a": 1}),
        ("a=-1, b=+2.5, c=1e3", {"a": -1, "b": 2.5, "c": 1000.0}),
        ("a=True, b=False, c=None", {"a": True, "b": False, "c": None}),
        ("a=true, b=false, c=null", {"a": True, "b": False, "c": None}),
        ("a='x', b=\"y\", c='''z\nz'''", {"a": "x", "b": "y", "c": "z\nz"}),
        ("a='x' 'y'", {"a": "xy"}),
        ("a=[1, [2]], b=(3, 4)", {"a": [1, [2]], "b": [3, 4]}),
        ("a={'k': {'n': [1]}}", {"a": {"k": {"n": [1]}}}),
        ("城市='北京'", {"城市": "北京"}),
        ("from='北京', to='上海', class=2", {"from": "北京", "to": "上海", "class": 2}),
        ("from='a\u2028b\x85c\x0c', class=1", {"from": "a\u2028b\x85c\x0c", "class": 1}),
        ("\n    from='北京',\n    in=1, is=2\n", {"from": "北京", "in": 1, "is": 2}),
        ("a='from=1, class=2', from='x'", {"a": "from=1, class=2", "from": "x"}),
        ("**{'user-id': 3}, b=1", {"user-id": 3, "b": 1}),
        (r"a='\u4f60\n'", {"a": "你\n"}),
        (r"a='\ud800'", {"a": "\ud800"}),
        (r"pattern='\d+'", {"pattern": r"\d+"}),
        ("a=0xff", {"a": 255}),
    ],
)
def test_literals(arguments: str, expected: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = parse_call("tool", call(arguments))
    assert json.loads(text) == expected
    text.encode()


@pytest.mark.parametrize(
    "content",
    [
        call("x=__import__('os').system('true')"),
        call("x=[i for i in range(9)]"),
        call("x=().__class__"),
        call("x=open"),
        call("x=open('f')"),
        call("x=1 if True else 2"),
        call("x=lambda: 1"),
        call("x=f'{1}'"),
        call("x=1 + 1"),
        call("x=2 ** 99"),
        call("x=b'bytes'"),
        call("x={1, 2}"),
        call("x={1: 2}"),
        call("x={'a': 1, **y}"),
        call("x=1j"),
        call("x=-True"),
        call("x=1e999"),
        call("x=..."),
        call("'positional'"),
        call("**y"),
        call("*y"),
        call("a=1, a=2"),
        call("a=(yield)"),
        call("x='unclosed"),
        "```python\nother_call(x=1)\n```",
        "```python\nself.tool_call(x=1)\n```",
        "```python\ntool_call(x=1)\nimport os\n```",
        "```python\ntool_call(x=1); tool_call(x=2)\n```",
        "tool_call",
        "",
        "null\0byte",
        call("x=" + "9" * 5000),
        call("x=" + "[" * 100_000),
        call("x=" + "(" * 100_000 + ")" * 100_000),
        call("x=" + "-" * 100_000 + "1"),
        call("x=" + "{'a':" * 5_000 + "1" + "}" * 5_000),
        call("x=" + "a." * 50_000 + "a"),
        call("x=" + "not " * 50_000 + "1"),
        "[" * 1_000_000,
        call("x='" + "a" * MAX_ARGUMENT_CHARS + "'"),
    ],
    ids=lambda content: content.replace("```python\n", "")[:40],
)
def test_what_is_no_literal_is_refused(content: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every wording will do
        parse_call("tool", content)


def test_the_interpreter_takes_any_code() -> None:
    code = "import os\nprint(os.getcwd())"
    assert json.loads(parse_call("interpreter", f" ```python\n{code}\n```")) == {"code": code}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_history_is_rebuilt_as_the_model_would_write_it(arguments: dict[str, Any]) -> None:
    content = call_text("tool", json.dumps(arguments))
    assert json.loads(parse_call("tool", content)) == arguments


@pytest.mark.parametrize(
    ("name", "arguments", "content"),
    [
        ("tool", '{"城市": "北京", "days": 3}', "```python\ntool_call(城市='北京', days=3)\n```"),
        ("tool", '{"a": true, "b": null}', "```python\ntool_call(a=True, b=None)\n```"),
        ("tool", "", "```python\ntool_call()\n```"),
        ("interpreter", '{"code": "print(1)"}', "```python\nprint(1)\n```"),
    ],
)
def test_call_text(name: str, arguments: str, content: str) -> None:
    assert call_text(name, arguments) == content


@pytest.mark.parametrize("arguments", ["[1]", "1", "{", "nonsense", "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every wording will do
        call_text("tool", arguments)


def test_system_text_is_the_official_wording() -> None:
    tool = Tool.model_validate(
        {
            "type": "function",
            "function": {
                "name": "查询天气",
                "description": "查询某地天气",
                "parameters": {"type": "object", "properties": {"城市": {"type": "string"}}},
            },
        }
    )
    assert system_text([tool]) == (
        "Answer the following questions as best as you can. "
        "You have access to the following tools:\n"
        "[\n"
        "    {\n"
        '        "name": "查询天气",\n'
        '        "description": "查询某地天气",\n'
        '        "parameters": {\n'
        '            "type": "object",\n'
        '            "properties": {\n'
        '                "城市": {\n'
        '                    "type": "string"\n'
        "                }\n"
        "            }\n"
        "        }\n"
        "    }\n"
        "]"
    )
