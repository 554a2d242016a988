"""Tools and their calls: joined from a parser's deltas, and checked against a grammar."""

from collections.abc import Iterable
from typing import Any

from glm3edge.chatglm3.grammar import ReplyForm, reply_grammar
from glm3edge.chatglm3.parser import Delta, ToolCallDelta
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.llama.guidance import Guide, Matcher
from glm3edge.llama.model import Model
from glm3edge.schema.chat import Tool

SPECIAL = SpecialTokens(gmask=0, sop=0, system=0, user=0, assistant=0, observation=0, eos=2)
"""Of no vocabulary, for grammars of which no text has a second part."""


def calls_of(deltas: Iterable[Delta]) -> list[tuple[str, str]]:
    """Names and arguments of the calls that ``deltas`` make, which come one after another."""
    calls: list[tuple[str, str]] = []
    for delta in deltas:
        if not isinstance(delta, ToolCallDelta):
            continue
        if delta.name is not None:
            assert (delta.index, delta.arguments) == (len(calls), "")
            calls.append((delta.name, ""))
        else:
            assert delta.index == len(calls) - 1
            assert delta.arguments
            calls[-1] = (calls[-1][0], calls[-1][1] + delta.arguments)
    return calls


def accepts(guide: Guide, model: Model, grammar: str, text: str) -> bool:
    """Whether ``text`` is a whole text of ``grammar``."""
    matcher = guide.matcher(grammar)
    for token_id in model.tokenize(text):
        if not _allows(matcher, token_id):
            return False
        matcher.accept(token_id)
    return any(_allows(matcher, end_id) for end_id in SpecialTokens.of(model).stop_ids)


def _allows(matcher: Matcher, token_id: int) -> bool:
    return bool(matcher.allowed()[token_id // 8] >> token_id % 8 & 1)


def json_grammar(
    schema: dict[str, Any], guide: Guide | None = None, *, is_strict: bool = True
) -> str:
    """Grammar of a reply that is JSON of ``schema``."""
    form = ReplyForm(json_schema=schema, is_strict=is_strict)
    return reply_grammar(form, special=SPECIAL, compile_=None if guide is None else guide.matcher)


def call_grammar(
    *tools: Tool,
    guide: Guide | None = None,
    must_call: bool = False,
) -> str:
    """Grammar of a reply that may call ``tools``."""
    form = ReplyForm(tools=tools, must_call=must_call)
    compile_ = None if guide is None else guide.matcher
    return reply_grammar(form, special=SPECIAL, compile_=compile_)


def accepts_call(guide: Guide, model: Model, tool: Tool, code: str) -> bool:
    """Whether a reply may be a call of ``tool`` with this ``code``, fence included."""
    grammar = call_grammar(tool, guide=guide)
    return accepts(guide, model, grammar, f"{tool.function.name}\n{code}")


def tool_with(parameters: dict[str, Any] | None, name: str = "find") -> Tool:
    """A tool whose arguments have the schema ``parameters``."""
    function = {"name": name, "parameters": parameters}
    return Tool.model_validate({"type": "function", "function": function})
