"""Calls that mean harm: data or an error; never run, never a failure."""

import json
import time
from pathlib import Path

import pytest

from glm3edge.chatglm3.tools import parse_call
from glm3edge.limits import MAX_ARGUMENT_CHARS

pytestmark = pytest.mark.slow

FULL = MAX_ARGUMENT_CHARS - 100  # as long as a call may be, with room for what stands around it
SECONDS = 4.0
"""Processor time for one call; the slowest takes a fifth of it."""


def parse(code: str) -> str:
    return parse_call("查天气", f"```python\n{code}\n```")


RUNS = [
    "tool_call(x=__import__('pathlib').Path({path!r}).touch())",
    "tool_call(x=open({path!r}, 'w'))",
    "tool_call(x=[open(p, 'w') for p in [{path!r}]])",
    "tool_call(x={{p: open(p, 'w') for p in [{path!r}]}})",
    "tool_call(x=(lambda: open({path!r}, 'w'))())",
    "tool_call(x=f'{{open({path!r}, \"w\")}}')",
    "tool_call(x=().__class__.__mro__[1].__subclasses__())",
    "tool_call(x=(y := open({path!r}, 'w')))",
    "tool_call(*[open({path!r}, 'w')])",
    "tool_call(**open({path!r}, 'w'))",
    "tool_call(**{{'x': open({path!r}, 'w')}})",
    "tool_call(x=1) or open({path!r}, 'w')",
    "tool_call(x=1); open({path!r}, 'w')",
    "open({path!r}, 'w')",
    "tool_call.__globals__['open']({path!r}, 'w')",
    "@open({path!r}, 'w')\ndef tool_call(): ...",
    "tool_call(from=open({path!r}, 'w'))",
]


@pytest.mark.parametrize("code", RUNS)
def test_nothing_is_run(code: str, tmp_path: Path) -> None:
    target = tmp_path / "written"
    with pytest.raises(ValueError, match=r"\S"):
        parse(code.format(path=str(target)))
    assert not target.exists()


REFUSED = {
    "a megabyte of brackets": "[" * 1_000_000,
    "brackets": "tool_call(x=" + "[" * FULL,
    "closed brackets": "tool_call(x=" + "[" * 100_000 + "]" * 100_000 + ")",
    "parentheses": "tool_call(x=" + "(" * 100_000 + ")" * 100_000 + ")",
    "objects": "tool_call(x=" + "{'a':" * 20_000 + "1" + "}" * 20_000 + ")",
    "signs": "tool_call(x=" + "-" * FULL + "1)",
    "a sum": "tool_call(x=" + "1+" * (FULL // 2) + "1)",
    "attributes": "tool_call(x=a" + ".a" * (FULL // 2) + ")",
    "negations": "tool_call(x=" + "not " * (FULL // 4) + "1)",
    "conditions": "tool_call(x=" + "1 if " * 20_000 + "1)",
    "lambdas": "tool_call(x=" + "lambda:" * (FULL // 7) + "1)",
    "comprehensions": "tool_call(x=[a" + " for a in b" * 20_000 + "])",
    "calls": "tool_call(\n" * 20_000,
    "nested stars": "tool_call(" + "**{'a':" * 20_000 + ")",
    "f-strings": "tool_call(x=" + "f'{" * 1000 + ")",
    "a decimal number": "tool_call(x=" + "9" * FULL + ")",
    "a hexadecimal number": "tool_call(x=0x" + "f" * FULL + ")",
    "a binary number": "tool_call(x=0b" + "1" * FULL + ")",
    "a power": "tool_call(x=9**9**9)",
    "an endless number": "tool_call(x=" + "9" * 4000 + ".0)",
    "a repeated text": "tool_call(x='a' * 10**9)",
    "reserved names": "tool_call(" + "in=1," * (FULL // 5) + ")",
    "reserved names, unclosed": "tool_call(" + "in='" * (FULL // 4) + ")",
    "a nul byte": "tool_call(x=1\0)",
    "a nul byte in a literal": "tool_call(x='a\0b')",
    "half a character": "tool_call(x='\ud800')",
    "half a character beside a reserved name": "tool_call(from='\ud800')",
    "indentation": "tool_call(x=1)\n" + "".join(" " * n + "if 1:\n" for n in range(200)),
    "names that Python takes for one": "tool_call(ﬁ=1, fi=2)",
    "a character of no name": "tool_call(x='\\N{NO SUCH}')",
    "too long": "tool_call(x='" + "长" * MAX_ARGUMENT_CHARS + "')",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_call_is_refused(name: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match=r"\S"):
        parse(REFUSED[name])
    assert time.process_time() - start < SECONDS


DATA = {
    "a nul character": ("tool_call(x='a\\0b')", {"x": "a\0b"}),
    "half a character": ("tool_call(x='\\ud800')", {"x": "\ud800"}),
    "a long number": ("tool_call(x=0x" + "f" * 3000 + ")", {"x": 16**3000 - 1}),
    "a long text": ("tool_call(x='" + "长" * FULL + "')", {"x": "长" * FULL}),
    "code": ("tool_call(x='open(__file__)')", {"x": "open(__file__)"}),
    "role tags": ("tool_call(x='<|user|>\\n<|observation|>')", {"x": "<|user|>\n<|observation|>"}),
    "a fence": ("tool_call(x='```\\n```')", {"x": "```\n```"}),
    "depth": ("tool_call(x=" + "[" * 90 + "]" * 90 + ")", None),
    "many": (
        "tool_call(" + ", ".join(f"a{n}={n}" for n in range(20_000)) + ")",
        {f"a{n}": n for n in range(20_000)},
    ),
    "many reserved ones": (
        "tool_call(**{" + ", ".join(f"'a{n}': 1" for n in range(10_000)) + "}, in=1)",
        {f"a{n}": 1 for n in range(10_000)} | {"in": 1},
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_what_is_a_call_is_data(name: str) -> None:
    code, value = DATA[name]
    start = time.process_time()
    arguments = parse(code)
    assert time.process_time() - start < SECONDS
    arguments.encode()
    assert value is None or json.loads(arguments) == value
