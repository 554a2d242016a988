"""Tools and their calls: joined from a parser's deltas, and checked against a grammar."""

from collections.abc import Iterable
from typing import Any

from glm3edge.chatglm3.parser import Delta, ToolCallDelta
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model
from glm3edge.schema.chat import Tool


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


def accepts(guide: Guide, model: Model, grammar: str | None, text: str) -> bool:
    """Whether ``text`` is a whole text of ``grammar``, which has to be there."""
    assert grammar is not None
    matcher = guide.matcher(grammar)
    for token_id in model.tokenize(text):
        if not matcher.allowed()[token_id // 8] >> token_id % 8 & 1:
            return False
        matcher.accept(token_id)
    return matcher.is_complete


def tool_with(parameters: dict[str, Any] | None, name: str = "find") -> Tool:
    """A tool whose arguments have the schema ``parameters``."""
    function = {"name": name, "parameters": parameters}
    return Tool.model_validate({"type": "function", "function": function})
