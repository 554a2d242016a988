"""Requests of OpenAI's Responses API, translated to chat requests."""

from collections.abc import Iterator, Sequence

from glm3edge.errors import ContextLengthExceededError, InvalidRequestError, RequestError
from glm3edge.schema.chat import (
    AllowedToolChoice,
    ChatRequest,
    JsonSchema,
    Message,
    NamedToolChoice,
    ResponseFormat,
    StreamOptions,
)
from glm3edge.schema.chat import AllowedTools as ChatAllowedTools
from glm3edge.schema.chat import ChosenFunction as ChatChosenFunction
from glm3edge.schema.chat import ToolChoice as ChatToolChoice
from glm3edge.schema.content import Part, TextPart
from glm3edge.schema.response_items import (
    CallItem,
    CallOutputItem,
    InputMessage,
    InputText,
    Item,
    OutputMessage,
    OutputText,
)
from glm3edge.schema.response_tools import AllowedTools, ChosenTool, ToolChoice
from glm3edge.schema.responses import PlainFormat, ResponseRequest, TextOptions
from glm3edge.schema.sampling import TokenChoice
from glm3edge.serving.responses.tools import ToolTable, chat_call
from glm3edge.serving.server_tools import without_server_tools

_SAME_FIELDS = (
    "model",
    "stream",
    "parallel_tool_calls",
    "top_logprobs",
    "truncation",
    "user",
    *TokenChoice.model_fields,
)
# Fields of chat requests, and the fields of requests for responses that they come from.
_FIELD_NAMES = {"messages": "input", "response_format": "text.format"}


def chat_request(request: ResponseRequest, earlier: Sequence[Item]) -> ChatRequest:
    """Translate ``request``, which follows the ``earlier`` items.

    Those do not include instructions of earlier responses: OpenAI does not carry them over. All
    references must have been replaced by their items.

    Raises:
        InvalidRequestError: a result belongs to no call before it, there is nothing to reply to,
            or the tools cannot be offered.
    """
    _check_call_ids(request.input, earlier)
    tools = ToolTable(without_server_tools(request.tools or (), param="tools"))
    messages = list(_messages(request.instructions, [*earlier, *request.input]))
    if not messages:
        message = "input has only reasoning: add a message"
        raise InvalidRequestError(message, param="input")
    return ChatRequest(
        messages=messages,
        tools=tools.functions or None,
        tool_choice=_tool_choice(request.tool_choice, tools),
        response_format=_response_format(request.text),
        max_completion_tokens=request.max_output_tokens,
        stream_options=StreamOptions(include_usage=True) if request.stream else None,
        continue_final_message=False,  # OpenAI's API has no such thing: a message is whole
        logprobs=request.wants_logprobs,
        **{name: getattr(request, name) for name in _SAME_FIELDS},
    )


def translate_error(error: RequestError) -> RequestError:
    """Translate an error of a chat request, so that it names the field that the caller has sent."""
    if isinstance(error, ContextLengthExceededError):
        return ContextLengthExceededError(
            num_prompt_tokens=error.num_prompt_tokens,
            num_new_tokens=error.num_new_tokens,
            context_size=error.context_size,
            param="input",
            is_least=error.is_least,
        )
    name = _FIELD_NAMES.get((error.param or "").partition("[")[0])
    if name is None or error.param is None:
        return error
    return InvalidRequestError(str(error).replace(error.param, name), param=name)


def _check_call_ids(items: Sequence[Item], earlier: Sequence[Item]) -> None:
    known = {item.call_id for item in earlier if isinstance(item, CallItem)}
    for index, item in enumerate(items):
        if isinstance(item, CallItem):
            known.add(item.call_id)
        elif isinstance(item, CallOutputItem) and item.call_id not in known:
            param, kind = f"input[{index}].call_id", item.type.removesuffix("_output")
            message = f"{param}: no {kind} with call_id {item.call_id!r} comes before it"
            raise InvalidRequestError(message, param=param)


def _messages(instructions: str | None, items: Sequence[Item]) -> Iterator[Message]:
    if instructions:
        yield Message(role="system", content=instructions)
    for item in items:
        if isinstance(item, CallItem):
            yield Message(role="assistant", tool_calls=[chat_call(item)])
        elif isinstance(item, CallOutputItem):
            yield Message(role="tool", tool_call_id=item.call_id, content=_texts(item.output))
        elif isinstance(item, InputMessage | OutputMessage):
            yield Message(role=item.role, content=_texts(item.content))


def _texts(parts: Sequence[InputText | OutputText]) -> list[Part]:
    return [TextPart(type="text", text=part.text) for part in parts]


def _tool_choice(choice: ToolChoice | None, tools: ToolTable) -> ChatToolChoice | None:
    if isinstance(choice, AllowedTools):
        chosen = without_server_tools(choice.tools, param="tool_choice.tools")
        allowed = ChatAllowedTools(mode=choice.mode, tools=[_named(one, tools) for one in chosen])
        return AllowedToolChoice(type="allowed_tools", allowed_tools=allowed)
    return _named(choice, tools) if isinstance(choice, ChosenTool) else choice


def _named(choice: ChosenTool, tools: ToolTable) -> NamedToolChoice:
    function = ChatChosenFunction(name=tools.function_name(choice))
    return NamedToolChoice(type="function", function=function)


def _response_format(text: TextOptions | None) -> ResponseFormat | None:
    wanted = text.format if text is not None else None
    if wanted is None:
        return None
    if isinstance(wanted, PlainFormat):
        return ResponseFormat(type=wanted.type)
    schema = JsonSchema(name=wanted.name, strict=wanted.strict, schema=wanted.definition)
    return ResponseFormat(type=wanted.type, json_schema=schema)
