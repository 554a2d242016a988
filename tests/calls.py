"""Calls, put together from the deltas of a parser."""

from collections.abc import Iterable

from glm3edge.chatglm3.parser import Delta, ToolCallDelta


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
