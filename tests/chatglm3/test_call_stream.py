"""Arguments in pieces, at every split."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.chatglm3.call_stream import ArgumentStream, CallArgumentStream, CodeArgumentStream
from glm3edge.chatglm3.tools import call_text, parse_call

CALLS = {
    "": "{}",
    "city='北京'": '{"city": "北京"}',
    "a=1, b=-2.5e-3": '{"a": 1, "b": -2.5e-3}',
    "from='a', to=\"b\"": '{"from": "a", "to": "b"}',
    "x=True, y=False, z=None": '{"x": true, "y": false, "z": null}',
    "s='say \"hi\"'": '{"s": "say \\"hi\\""}',
    's="it\'s"': '{"s": "it\'s"}',
    "s='it\\'s'": '{"s": "it\'s"}',
    "s='a\\nb\\t\\\\'": '{"s": "a\\nb\\t\\\\"}',
    "s='\\x41\\u4f60\\U0001f600'": '{"s": "A你😀"}',
    "s='a), b=(['": '{"s": "a), b=(["}',
    "s='```'": '{"s": "```"}',
    'p="\\d+\\ud83d"': '{"p": "\\\\d+\\ud83d"}',
    "n=[], o={}": '{"n": [], "o": {}}',
    "n=[[1, 2], ['a', None]], o={'k': {'': [True]}}": (
        '{"n": [[1, 2], ["a", null]], "o": {"k": {"": [true]}}}'
    ),
}
CODES = [
    "```python\nprint(1)\n```",
    " ```python\nimport math\n\nprint(math.pi)\n```",
    "```python\n\n\nx = '```'\ny = 2\n\n```\n",
    "```\nx\n``` ",
    "```python\nprint('没有结尾",
    "```python\n",
    "```python",
    "```python\n```",
    "```python\n\n \n```",
    "print(1)\n",
    "\n\n  x = `1`  ",
    "``",
    "",
    "\n",
    "```python\nx = 1  \n\n```",
    "```python\nx\u3000\n```",
    '```python\ns = "\\n\\""\n```',
]


def joined(pieces: ArgumentStream, *parts: str) -> str:
    return "".join([*map(pieces.feed, parts), pieces.finish(is_cut=False)])


@pytest.mark.parametrize("arguments", CALLS)
def test_a_call_at_every_split(arguments: str) -> None:
    text, expected = f" ```python\ntool_call({arguments})\n```", CALLS[arguments]
    assert json.loads(expected) == json.loads(parse_call("find", text))
    for cut in range(len(text) + 1):
        pieces = CallArgumentStream()
        assert joined(pieces, text[:cut], text[cut:]) == expected
        assert pieces.is_complete
    assert joined(CallArgumentStream(), *text) == expected


@pytest.mark.parametrize("arguments", CALLS)
def test_a_call_that_was_cut_is_the_beginning_of_the_whole(arguments: str) -> None:
    text = f"```python\ntool_call({arguments})\n```"
    for end in range(text.rindex(")") + 1):
        pieces = CallArgumentStream()
        assert CALLS[arguments].startswith(joined(pieces, text[:end]))
        assert not pieces.is_complete


def test_arguments_come_as_they_are_written() -> None:
    pieces = CallArgumentStream()
    parts = ["```python\ntool_", "call(ci", "ty='北", "京\\", "n", "', days", "=1", "2)", "\n```"]
    come = ["", "{", '"city": "北', "京", "\\n", '", ', '"days": 1', "2}", ""]
    assert [pieces.feed(part) for part in parts] == come


@pytest.mark.parametrize("text", ["tool_call(x=__import__('os'))", "tool_call(*a)", "tool_call(1)"])
def test_what_is_no_call_goes_no_further(text: str) -> None:
    pieces = CallArgumentStream()
    assert joined(pieces, text) in {"{", '{"x": '}
    assert not pieces.is_complete


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # repr() spells what does not print, such as a lone surrogate, as an escape
    | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(
    st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), json_values),
    st.sets(st.integers(0, 300)),
)
def test_any_call_says_what_the_parser_of_calls_says(
    arguments: dict[str, object], cuts: set[int]
) -> None:
    text = call_text("find", json.dumps(arguments))
    parts, start = [], 0
    for cut in [*sorted(cuts), len(text)]:
        parts.append(text[start:cut])
        start = max(start, cut)
    assert json.loads(joined(CallArgumentStream(), *parts)) == json.loads(parse_call("find", text))


@pytest.mark.parametrize("text", CODES)
def test_code_at_every_split(text: str) -> None:
    expected = parse_call("interpreter", text)
    for cut in range(len(text) + 1):
        assert joined(CodeArgumentStream(), text[:cut], text[cut:]) == expected
    assert joined(CodeArgumentStream(), *text) == expected


@given(st.lists(st.sampled_from(["```", "`", "\n", " ", "python", "x", '"', "\\", "\u3000", "好"])))
def test_any_code(parts: list[str]) -> None:
    assert joined(CodeArgumentStream(), *parts) == parse_call("interpreter", "".join(parts))


def test_code_comes_as_it_is_written() -> None:
    pieces = CodeArgumentStream()
    parts = ["```py", "thon\nim", "port math\n", "print(", "1)\n``", "`"]
    come = ["", '{"code": "im', "port math", "\\nprint(", "1)", ""]
    assert [pieces.feed(part) for part in parts] == come
    assert pieces.finish(is_cut=False) == '"}'


def test_code_that_was_cut_breaks_off() -> None:
    pieces = CodeArgumentStream()
    assert pieces.feed("```python\nprint(1)\n``") == '{"code": "print(1)'
    assert pieces.finish(is_cut=True) == ""
    assert not pieces.is_complete
