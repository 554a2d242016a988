"""Constraints of chat replies: grammars for ``tools``, ``tool_choice`` and ``response_format``."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from glm3edge.chatglm3.constraint import Matcher, ReplyConstraint
from glm3edge.chatglm3.grammar import call_grammar, json_grammar, required_grammar
from glm3edge.chatglm3.grammar_rules import check_length
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary
from glm3edge.engine.sequence import Constraint
from glm3edge.errors import GrammarError, InvalidRequestError
from glm3edge.llama.guidance import Guide
from glm3edge.schema.chat import (
    AllowedToolChoice,
    ChatRequest,
    NamedToolChoice,
    Tool,
    ToolChoice,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Constraints:
    """Constraints of a request's replies.

    Attributes:
        make_constraint: makes the constraint of one reply; None if replies are unconstrained.
        tool_names: tools whose calls are constrained to their schemas.
    """

    make_constraint: Callable[[], Constraint] | None = None
    tool_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _ReplyGrammar:
    """A grammar of a whole reply, and the request field that asks for it."""

    text: str
    param: str


class ConstraintBuilder:
    """Compiles the constraints of requests; without a ``guide`` replies are unconstrained."""

    def __init__(
        self, vocabulary: Vocabulary, special: SpecialTokens, guide: Guide | None = None
    ) -> None:
        self._vocabulary = vocabulary
        self._special = special
        self._guide = guide

    def build(self, request: ChatRequest, tools: list[Tool]) -> Constraints:
        """Constraints of the replies to ``request``, which offers ``tools``.

        Raises:
            InvalidRequestError: the request asks for a constraint that cannot be enforced.
        """
        grammar = _reply_grammar(request, tools)
        guide = self._guide
        if guide is None:
            if grammar is not None:
                raise InvalidRequestError(f"{grammar.param} needs a model", param=grammar.param)
            return Constraints()
        calls = _call_matchers(guide, tools) if may_call(request, tools) else {}
        if not calls and grammar is None:
            return Constraints()
        whole = None if grammar is None else _matcher(guide, grammar.text, grammar.param)
        may_call_again = request.parallel_tool_calls is not False

        def make_constraint() -> Constraint:
            return ReplyConstraint(
                self._vocabulary,
                end_ids=self._special.stop_ids,
                assistant_id=self._special.assistant,
                calls=calls,
                whole=None if whole is None else whole.copy(),
                may_call_again=may_call_again,
            )

        return Constraints(make_constraint, frozenset(calls))


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


def may_call(request: ChatRequest, tools: list[Tool]) -> bool:
    """Whether a reply may have calls: it may not where all of it is JSON."""
    choice, wanted = request.tool_choice, request.response_format
    must_call = _requires_call(choice) or isinstance(choice, NamedToolChoice)
    return bool(tools) and (must_call or wanted is None or wanted.type == "text")


def _named_tools(tools: list[Tool], choices: list[NamedToolChoice]) -> list[Tool]:
    """Those of ``tools`` that ``choices`` name, in their own order."""
    names = {choice.function.name for choice in choices}
    if unknown := names - {tool.function.name for tool in tools}:
        message = f"there is no tool {min(unknown)!r} in tools"
        raise InvalidRequestError(message, param="tool_choice")
    return [tool for tool in tools if tool.function.name in names]


def _requires_call(choice: ToolChoice | None) -> bool:
    if isinstance(choice, AllowedToolChoice):
        return choice.allowed_tools.mode == "required"
    return choice == "required"


def _reply_grammar(request: ChatRequest, tools: list[Tool]) -> _ReplyGrammar | None:
    """Grammar of a reply that has to be a call or JSON as a whole; None if it is free."""
    choice = request.tool_choice
    if _requires_call(choice):
        if not tools:
            raise InvalidRequestError("tool_choice required needs tools", param="tool_choice")
        return _ReplyGrammar(required_grammar(tools), "tool_choice")
    if isinstance(choice, NamedToolChoice):
        return _ReplyGrammar(required_grammar(_named_tools(tools, [choice])), "tool_choice")
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return _ReplyGrammar(json_grammar(None), "response_format")
    if wanted.json_schema is None or wanted.json_schema.definition is None:
        message = "response_format json_schema needs json_schema.schema"
        raise InvalidRequestError(message, param="response_format")
    return _ReplyGrammar(json_grammar(wanted.json_schema.definition), "response_format")


def _call_matchers(guide: Guide, tools: list[Tool]) -> dict[str, Matcher]:
    """Matchers that constrain calls to their tool's schema, by the tool's name.

    A tool whose schema cannot be enforced has none, unless it is strict: then it is refused.
    """
    grammars = [(tool, grammar) for tool in tools if (grammar := call_grammar(tool)) is not None]
    check_length(sum(len(grammar) for _, grammar in grammars))
    matchers = {}
    for tool, grammar in grammars:
        name = tool.function.name
        try:
            matchers[name] = _matcher(guide, grammar, "tools")
        except InvalidRequestError as exc:
            if tool.function.strict:
                raise
            logger.info("calls of %s are unconstrained: %s", name, exc)
    return matchers


def _matcher(guide: Guide, grammar: str, param: str) -> Matcher:
    try:
        return guide.matcher(grammar)
    except GrammarError as exc:
        raise InvalidRequestError(f"{param} cannot be followed: {exc}", param=param) from exc
