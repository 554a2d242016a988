"""Grammars of chat replies, from ``tools``, ``tool_choice`` and ``response_format``."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from glm3edge.chatglm3.enforceable import RELAXED
from glm3edge.chatglm3.grammar import ReplyForm, reply_grammar
from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.errors import GrammarError, InvalidRequestError
from glm3edge.limits import MAX_COMPILE_SECONDS
from glm3edge.llama.guidance import Guide, Matcher
from glm3edge.schema.chat import (
    AllowedToolChoice,
    ChatRequest,
    NamedToolChoice,
    ResponseFormat,
    Tool,
    ToolChoice,
)


class GrammarBuilder:
    """Makes the grammars of requests; without a ``guide`` replies are unconstrained."""

    def __init__(self, special: SpecialTokens, guide: Guide | None = None) -> None:
        self._special = special
        self._guide = guide

    def build(
        self, request: ChatRequest, tools: list[Tool], *, begun_ids: tuple[int, ...] = ()
    ) -> str | None:
        """Grammar of each reply to ``request``, which offers ``tools``; it compiles.

        None if replies are unconstrained.

        ``begun_ids`` are the reply's first tokens, if the prompt has them already: those of a
        message that it goes on with.

        Raises:
            InvalidRequestError: the request asks for a constraint that cannot be enforced.
        """
        form, param = _reply_form(request, tools)
        if self._guide is None:
            if param != "tools":
                raise InvalidRequestError(f"{param} needs a model", param=param)
            return None
        if not form.tools and form.json_schema is None:
            return None
        try:
            grammar = self._grammar(self._guide, form, param)
        except GrammarError as exc:
            raise InvalidRequestError(f"{param} cannot be followed: {exc}", param=param) from exc
        try:
            self._guide.matcher(grammar, begun_ids)
        except GrammarError as exc:
            message = "the reply goes on with the last message, which cannot be its beginning"
            raise InvalidRequestError(f"{param}: {message}", param=param) from exc
        return grammar

    def _grammar(self, guide: Guide, form: ReplyForm, param: str) -> str:
        make = partial(reply_grammar, form, special=self._special)
        grammar = make()
        try:
            guide.matcher(grammar)
        except GrammarError:  # now look for what cannot be enforced
            grammar = make(compile_=_within_time(guide, param))
            guide.matcher(grammar)
        return grammar


def _within_time(guide: Guide, param: str) -> Callable[[str], Matcher]:
    """Compiles grammars of the request's field ``param`` until their time is up."""
    end = time.monotonic() + MAX_COMPILE_SECONDS

    def compile_(grammar: str) -> Matcher:
        if time.monotonic() > end:
            keywords = ", ".join(key for key in RELAXED if f'"{key}"' in grammar)
            message = (
                f"{param} takes over {MAX_COMPILE_SECONDS} s to compile: use less of {keywords}"
            )
            raise InvalidRequestError(message, param=param)
        return guide.matcher(grammar)

    return compile_


def offered_tools(request: ChatRequest) -> list[Tool]:
    """Tools that the prompt offers, as ``tool_choice`` allows.

    Raises:
        InvalidRequestError: ``tool_choice`` names a tool that is not there.
    """
    choice, tools = request.tool_choice, list(request.tools or ())
    if choice == "none":
        return []
    if isinstance(choice, AllowedToolChoice):
        return _named_tools(tools, choice.allowed_tools.tools)
    return tools


def _named_tools(tools: list[Tool], choices: list[NamedToolChoice]) -> list[Tool]:
    """Those of ``tools`` that ``choices`` name, in their own order."""
    names = {choice.function.name for choice in choices}
    if unknown := names - {tool.function.name for tool in tools}:
        message = f"tools has no tool {min(unknown)!r}"
        raise InvalidRequestError(message, param="tool_choice")
    return [tool for tool in tools if tool.function.name in names]


def _requires_call(choice: ToolChoice | None) -> bool:
    if isinstance(choice, AllowedToolChoice):
        return choice.allowed_tools.mode == "required"
    return choice == "required"


def _reply_form(request: ChatRequest, tools: list[Tool]) -> tuple[ReplyForm, str]:
    """What a reply may be, and the field of the request that says so."""
    choice, may_call_again = request.tool_choice, request.parallel_tool_calls is not False
    if _requires_call(choice):
        if not tools:
            raise InvalidRequestError("tool_choice required needs tools", param="tool_choice")
        return ReplyForm(tools=tools, must_call=True), "tool_choice"
    if isinstance(choice, NamedToolChoice):
        return ReplyForm(tools=_named_tools(tools, [choice]), must_call=True), "tool_choice"
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return ReplyForm(tools=tools, may_call_again=may_call_again), "tools"
    is_strict = wanted.json_schema is None or wanted.json_schema.strict is not False
    form = ReplyForm(
        tools=tools,
        may_call_again=may_call_again,
        json_schema=_json_schema(wanted),
        is_strict=is_strict,
    )
    return form, "response_format"


def _json_schema(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.type == "json_object":
        return {"type": "object"}
    if wanted.json_schema is None or wanted.json_schema.definition is None:
        message = "response_format json_schema needs json_schema.schema"
        raise InvalidRequestError(message, param="response_format")
    return wanted.json_schema.definition
