"""What grammars let through: replies made of random tokens that they allow, and given texts."""

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import jsonschema
import numpy as np
import pytest

from benchmarks.random_schemas import random_object
from glm3edge.chatglm3.call_stream import CallArgumentStream
from glm3edge.chatglm3.parser import ProseDelta, ReplyParser
from glm3edge.chatglm3.tools import call_text, parse_call
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.core import TokenEvent
from glm3edge.errors import InvalidRequestError
from glm3edge.llama.guidance import Guide, Matcher
from glm3edge.llama.model import Model
from glm3edge.schema.chat import Tool
from tests.support.calls import (
    accepts,
    accepts_call,
    call_grammar,
    calls_of,
    json_grammar,
    tool_with,
)

MAX_TOKENS = 4000


def random_reply(
    rng: random.Random, matcher: Matcher, model: Model, end_ids: frozenset[int]
) -> Iterator[TokenEvent]:
    """Tokens that ``constraint`` allows, those that end things rather than others."""
    likely = {piece for text in "]}'\"),:0123北京" for piece in model.tokenize(text)} | set(end_ids)
    for _ in range(MAX_TOKENS):
        mask = matcher.allowed()
        allowed = np.flatnonzero(np.unpackbits(mask, bitorder="little"))
        assert len(allowed), "nothing is allowed"
        chosen = [i for i in allowed.tolist() if i in likely] if rng.random() < 0.7 else []
        token_id = rng.choice(chosen or allowed.tolist())
        if token_id in end_ids:
            return
        matcher.accept(token_id)
        yield TokenEvent(token_id, "")
    raise AssertionError("the reply does not end")


def text_of(events: Iterator[TokenEvent], model: Model) -> str:
    return b"".join(model.piece(event.token_id) for event in events).decode("utf-8", "replace")


@pytest.mark.parametrize("seed", range(150))
def test_any_call_that_is_allowed_parses_and_fits_its_schema(
    guide: Guide, tiny_model: Model, seed: int
) -> None:
    rng = random.Random(seed)
    schema = random_object(rng)
    matcher = guide.matcher(call_grammar(tool_with(schema), must_call=True))
    special = SpecialTokens.of(tiny_model)
    text = text_of(random_reply(rng, matcher, tiny_model, special.stop_ids), tiny_model)
    parser = ReplyParser(assistant_id=special.assistant, tool_names={"find"})
    calls = calls_of(parser.feed(TokenEvent(0, text)) + parser.finish())
    assert len(calls) == 1, text
    arguments = json.loads(calls[0][1])
    jsonschema.validate(arguments, schema)
    assert json.loads(arguments_in_pieces(text, rng)) == arguments


def arguments_in_pieces(text: str, rng: random.Random) -> str:
    """Arguments of the call that ``text`` is, as they come while it is written."""
    parser = ReplyParser(assistant_id=-1, tool_names={"find"})
    cuts = sorted({text.index("\n") + 1, *(rng.randrange(len(text)) for _ in range(20))})
    parts = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    deltas = [delta for part in parts for delta in parser.feed(TokenEvent(0, part))]
    joined = calls_of(deltas)[0][1]
    assert parser.finish() == []
    assert parser.makes_calls
    return joined


@pytest.mark.parametrize("seed", range(50))
def test_any_json_that_is_allowed_fits_its_schema(
    guide: Guide, tiny_model: Model, seed: int
) -> None:
    rng = random.Random(seed)
    schema = random_object(rng)
    matcher = guide.matcher(json_grammar(schema))
    special = SpecialTokens.of(tiny_model)
    text = text_of(random_reply(rng, matcher, tiny_model, special.stop_ids), tiny_model)
    parser = ReplyParser(assistant_id=special.assistant)
    deltas = parser.feed(TokenEvent(0, text)) + parser.finish()
    prose = "".join(delta.text for delta in deltas if isinstance(delta, ProseDelta))
    jsonschema.validate(json.loads(prose), schema)


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": -30, "maximum": 30},
        "unit": {"enum": ["c", "it's"]},
        "tree": {"$ref": "#/$defs/tree"},
        "options": {"type": "object", "properties": {"wind": {"type": "boolean"}}},
    },
    "required": ["city"],
    "$defs": {"tree": {"type": ["array", "null"], "items": {"$ref": "#/$defs/tree"}}},
}


@pytest.mark.parametrize(
    ("arguments", "is_allowed"),
    [
        ("city='北京'", True),
        ('city="北京"', True),
        ("city='a', days=3", True),
        ("city='a', days=-30, unit='c'", True),
        ("city='a', unit=\"it's\"", True),
        ("city='a', unit='it\\'s'", True),
        ("city='a', tree=[[], [None]]", True),
        ("city='a', options={'wind': True}", True),
        ("city='say \\'hi\\' \\\\ \\n'", True),
        ("", False),
        ("days=3", False),
        ("city=3", False),
        ("city='a', days='3'", False),
        ("city='a', days=3.5", False),
        ("city='a', days=31", False),
        ("city='a', days=03", False),
        ("city='a', unit='k'", False),
        ("city='a', unit='c', days=3", False),
        ("city='a',days=3", False),
        ("city='a', tree=[1]", False),
        ("city='a', options={'rain': True}", False),
        ("city='a', country='b'", False),
        ("city='a\nb'", False),
        ("city=__import__('os')", False),
    ],
)
def test_calls(guide: Guide, tiny_model: Model, arguments: str, is_allowed: bool) -> None:
    wanted = tool_with(SCHEMA)
    text = f"```python\ntool_call({arguments})\n```"
    assert accepts_call(guide, tiny_model, wanted, text) == is_allowed
    if is_allowed:
        jsonschema.validate(json.loads(parse_call("find", text)), SCHEMA)


def test_what_history_shows_is_what_grammars_allow(guide: Guide, tiny_model: Model) -> None:
    values = {"city": 'It\'s "北京"', "days": 3, "tree": [[None]], "options": {"wind": False}}
    wanted = tool_with(SCHEMA)
    assert accepts_call(guide, tiny_model, wanted, call_text("find", json.dumps(values)))


@pytest.mark.parametrize(
    ("parameters", "right", "wrong"),
    [
        (None, "", "a=1"),
        ({}, "", "a=1"),
        ({"type": "object", "properties": {}}, "", "a=1"),
        ({"type": "object", "additionalProperties": False}, "", "a=1"),
        ({"type": "object"}, "a=1, 城=[{'x': None}]", "1"),
        ({"properties": {}, "additionalProperties": True}, "a='b'", "a=b"),
        ({"type": "object", "additionalProperties": {}}, "a=True", "**{}"),
        ({"type": ["object", "null"], "properties": {"a": {}}}, "a=[]", "None"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"b": {"const": 1}}}}}, "b=1", "b=2"),
    ],
)
def test_arguments_that_are_not_described(
    guide: Guide, tiny_model: Model, parameters: dict[str, Any] | None, right: str, wrong: str
) -> None:
    wanted = tool_with(parameters)
    assert accepts_call(guide, tiny_model, wanted, call_of(right))
    assert not accepts_call(guide, tiny_model, wanted, call_of(wrong))


def test_a_reply_that_has_to_be_a_call(guide: Guide, tiny_model: Model) -> None:
    grammar = call_grammar(
        tool_with({"type": "object"}),
        tool_with(SCHEMA, name="other"),
        tool_with(None, "interpreter"),
        must_call=True,
    )
    for text, is_allowed in (
        ("find\n```python\ntool_call(a=1, b=[{'x': None}])\n```", True),
        ("find\n```python\ntool_call()\n```", True),
        ("other\n```python\ntool_call(city='a')\n```", True),
        ("other\n```python\ntool_call()\n```", False),
        ("third\n```python\ntool_call()\n```", False),
        ("interpreter\n```python\nfor i in range(3):\n    print(i)\n```", True),
        ("\nhello", False),
    ):
        assert accepts(guide, tiny_model, grammar, text) == is_allowed, text


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "string", "maxLength": 2}, ["''", "'北京'", '"a\\n"'], ["'abc'"]),
        ({"type": "string", "maxLength": 0}, ["''", '""'], ["'a'"]),
        ({"type": "string", "minLength": 2}, ["'ab'", "'\\u5317京'"], ["''", "'a'"]),
        ({"type": "string", "pattern": "^a+$"}, ['"aa"'], ['"ab"', '""']),
        ({"type": "string", "format": "date"}, ['"2024-02-29"'], ['"soon"']),
        ({"type": "string", "format": "colour"}, ["'red'"], ["3"]),
        ({"type": "array", "maxItems": 0}, ["[]"], ["[1]"]),
        ({"type": "array", "maxItems": 1}, ["[]", "[1]"], ["[1, 2]"]),
        ({"type": "array", "maxItems": 2}, ["[]", "[1]", "[1, 2]"], ["[1, 2, 3]"]),
        ({"type": "array", "minItems": 2, "maxItems": 3}, ["[1, 2]", "[1, 2, 3]"], ["[]", "[1]"]),
        ({"type": "array", "minItems": 1}, ["[1]", "[1, 2, 3, 4]"], ["[]"]),
    ],
)
def test_lengths_and_patterns(
    guide: Guide, tiny_model: Model, schema: dict[str, Any], right: list[str], wrong: list[str]
) -> None:
    parameters = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    wanted = tool_with(parameters)
    for value in right:
        assert accepts_call(guide, tiny_model, wanted, f"```python\ntool_call(x={value})\n```"), (
            value
        )
    for value in wrong:
        assert not accepts_call(
            guide, tiny_model, wanted, f"```python\ntool_call(x={value})\n```"
        ), value


def call_of(value: str) -> str:
    return f"```python\ntool_call({value})\n```"


def test_references_are_each_tools_own(guide: Guide, tiny_model: Model) -> None:
    """They were the first tool's for all."""
    tools = [
        tool_with(
            {"properties": {"x": {"$ref": "#/$defs/I"}}, "$defs": {"I": {"type": kind}}},
            name=name,
        )
        for name, kind in (("f", "integer"), ("g", "string"))
    ]
    grammar = call_grammar(*tools)
    assert accepts(guide, tiny_model, grammar, "f\n" + call_of("x=1"))
    assert accepts(guide, tiny_model, grammar, "g\n" + call_of("x='a'"))
    assert not accepts(guide, tiny_model, grammar, "g\n" + call_of("x=1"))


def test_arguments_may_be_what_a_reference_leads_to(guide: Guide, tiny_model: Model) -> None:
    """As of pydantic's recursive models; such tools could only be called without arguments."""
    node = {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "next": {"$ref": "#/$defs/N"}},
        "required": ["x"],
    }
    wanted = tool_with({"$ref": "#/$defs/N", "$defs": {"N": node}})
    assert accepts_call(guide, tiny_model, wanted, call_of("x=1, next={'x': 2}"))
    assert not accepts_call(guide, tiny_model, wanted, call_of(""))


@pytest.mark.parametrize(
    ("parameters", "right", "wrong"),
    [
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            ["**{'a': 1, 'b-c': 2}", "**{}"],
            ["**{'a': 'b'}", "a=1"],
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
            ['**{"a": true, "b": 1}', "**{}"],
            ['**{"b": true}', "a=1"],
        ),
        (
            {"anyOf": [{"properties": {"a": {}}, "required": ["a"]}, {"required": ["b"]}]},
            ['**{"a": null}', '**{"b": {"c": [true, "\\n"]}}'],
            ["**{}"],
        ),
        ({"required": ["a"]}, ['**{"a": 1}'], ["**{}", '**{"b": 1}']),
        ({"minProperties": 1}, ['**{"a": 1}'], ["**{}"]),
        (
            {"patternProperties": {"^x-": {"type": "null"}}, "additionalProperties": False},
            ['**{"x-a": null}'],
            ['**{"a": null}', '**{"x-a": 1}'],
        ),
        (
            {"allOf": [{"properties": {"a": {"type": "null"}}}, {"required": ["a"]}]},
            ['**{"a": null}'],
            ["**{}", '**{"a": 1}'],
        ),
        ({"allOf": [{"properties": {"a": {"type": "null"}}}]}, ["a=None", ""], ["a=1"]),
        (
            {"$ref": "#/$defs/a", "required": ["b"], "$defs": {"a": {"properties": {"b": {}}}}},
            ['**{"b": 1}'],
            ["**{}"],
        ),
    ],
)
def test_arguments_that_only_json_can_express(
    guide: Guide,
    tiny_model: Model,
    parameters: dict[str, Any],
    right: list[str],
    wrong: list[str],
) -> None:
    wanted = tool_with(parameters)
    for arguments in right:
        code = call_of(arguments)
        assert accepts_call(guide, tiny_model, wanted, code), code
        values = json.loads(parse_call("find", code))
        jsonschema.validate(values, parameters)
        for size in (1, 2, 5, 100):
            stream = CallArgumentStream()
            pieces = [stream.feed(code[i : i + size]) for i in range(0, len(code), size)]
            assert json.loads("".join(pieces)) == values
            assert stream.is_complete
    for arguments in wrong:
        assert not accepts_call(guide, tiny_model, wanted, call_of(arguments)), arguments


@pytest.mark.parametrize("parameters", [{"type": "string"}, {"type": ["array"]}, {"not": {}}])
def test_arguments_have_to_be_an_object(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="'find' are not an object"):
        call_grammar(tool_with(parameters))


@pytest.mark.parametrize(
    ("values", "right", "wrong"),
    [
        ({"type": "integer"}, "{'a': 1, '城': -2}", "{'a': True}"),
        ({"enum": ["红", None]}, '{"it\'s": None}', "{'a': '蓝'}"),
        ({"type": "array", "items": {"type": "boolean"}}, "{'': [True]}", "{'a': [True, 1]}"),
        ({"$ref": "#/properties/x"}, "{'a': {'b': {}}}", "{'a': {'b': 1}}"),
        (False, "{}", "{'a': 1}"),
        ({}, "{'a': [1, {}]}", "{1: 1}"),
        (True, "{'a': [1, {}]}", "{'a'}"),
    ],
)
def test_values_of_any_keys_fit(
    guide: Guide, tiny_model: Model, values: Any, right: str, wrong: str
) -> None:
    parameters = {
        "properties": {"x": {"type": "object", "additionalProperties": values}},
        "required": ["x"],
    }
    wanted = tool_with(parameters)
    assert accepts_call(guide, tiny_model, wanted, call_of("x={}"))
    assert accepts_call(guide, tiny_model, wanted, call_of(f"x={right}"))
    assert not accepts_call(guide, tiny_model, wanted, call_of(f"x={wrong}"))


def test_a_schema_may_refer_to_itself(guide: Guide, tiny_model: Model) -> None:
    parameters = {"type": "object", "properties": {"children": {"items": {"$ref": "#"}}}}
    parameters["properties"]["children"]["type"] = "array"  # type: ignore[index]
    wanted = tool_with(parameters)
    assert accepts_call(guide, tiny_model, wanted, call_of("children=[{'children': []}]"))


UNHELD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "x": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        "y": {"type": "string", "pattern": "^(?!no)"},
        "z": {"type": "integer", "not": {"const": 3}},
    },
    "required": ["x", "y", "z"],
}


@pytest.mark.parametrize(("strict", "must_call"), [(True, False), (True, True), (None, True)])
def test_what_has_to_be_held_and_cannot_be_is_named(
    guide: Guide, strict: bool | None, must_call: bool
) -> None:
    wanted = strict_tool(UNHELD, strict=strict)
    with pytest.raises(
        InvalidRequestError,
        match=r"'find' cannot .* not, pattern \(.*look-around.*\), uniqueItems:",
    ) as caught:
        call_grammar(wanted, guide=guide, must_call=must_call)
    assert caught.value.param == "tools"


@pytest.mark.parametrize("strict", [False, None])
def test_what_cannot_be_held_is_dropped_alone(
    guide: Guide, tiny_model: Model, strict: bool | None
) -> None:
    wanted = strict_tool(UNHELD, strict=strict)
    assert accepts_call(guide, tiny_model, wanted, call_of("x=[1, 1], y='no', z=3"))
    for wrong in ("x=[1, 'a'], y='no', z=3", "x=[1], y=1, z=3", "x=[1], y='no', z=None", ""):
        assert not accepts_call(guide, tiny_model, wanted, call_of(wrong)), wrong


def test_a_strict_tool_answers_for_itself_alone(guide: Guide) -> None:
    strict = strict_tool({"properties": {"x": {}}}, strict=True)
    assert guide.matcher(call_grammar(tool_with(UNHELD, name="f"), strict, guide=guide))


def strict_tool(parameters: dict[str, Any], *, strict: bool | None) -> Tool:
    definition = {"name": "find", "parameters": parameters, "strict": strict}
    return Tool.model_validate({"type": "function", "function": definition})
