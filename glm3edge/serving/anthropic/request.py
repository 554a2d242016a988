"""Requests of Anthropic's API, translated to chat requests."""

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from glm3edge.errors import InvalidRequestError
from glm3edge.schema import chat
from glm3edge.schema.chat import ChatRequest
from glm3edge.schema.content import Part, TextPart
from glm3edge.schema.messages import (
    AssistantMessage,
    ClientTool,
    Conversation,
    FreeToolChoice,
    InputMessage,
    MessagesRequest,
    NamedToolChoice,
    OutputFormat,
    SystemMessage,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
    UserMessage,
)
from glm3edge.schema.server_tools import ServerTool
from glm3edge.serving.anthropic.errors import ThreadUnsupportedError
from glm3edge.serving.server_tools import without_server_tools

ChatToolChoice = Literal["none", "auto", "required"]

_TOOL_CHOICES: dict[str, ChatToolChoice] = {"auto": "auto", "any": "required", "none": "none"}


def chat_request(request: MessagesRequest) -> ChatRequest:
    """Translate a request for a message.

    Raises:
        InvalidRequestError: a message has no meaning where it stands.
        ThreadUnsupportedError: it asks for a thread.
    """
    if request.thread is not None:
        raise ThreadUnsupportedError
    _check_last(request.messages)
    return prompt_request(request).model_copy(
        update={
            "max_tokens": request.max_tokens,
            "stop": request.stop_sequences,
            "stream": request.stream,
            "stream_options": chat.StreamOptions(include_usage=True),
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
        }
    )


def prompt_request(conversation: Conversation) -> ChatRequest:
    """Chat request of the fields that make the prompt. A last message of the assistant's is
    continued.

    Raises:
        InvalidRequestError: a message has no meaning where it stands, or the tools cannot be
            offered.
    """
    choice = conversation.tool_choice
    return ChatRequest(
        model=conversation.model,
        messages=list(_chat_messages(conversation)),
        tools=[_chat_tool(tool) for tool in _client_tools(conversation)],
        tool_choice=_chat_tool_choice(choice),
        parallel_tool_calls=not (choice and choice.disable_parallel_tool_use),
        response_format=_response_format(conversation.format) if conversation.format else None,
    )


def _client_tools(conversation: Conversation) -> list[ClientTool]:
    tools = without_server_tools(conversation.tools or (), param="tools")
    choice = conversation.tool_choice
    if isinstance(choice, NamedToolChoice):
        for tool in conversation.tools or ():
            if isinstance(tool, ServerTool) and tool.name == choice.name:
                message = f"tool_choice: this server has no {tool.type}: choose a tool of yours"
                raise InvalidRequestError(message, param="tool_choice")
    return tools


def _check_last(messages: Sequence[InputMessage]) -> None:
    """Check that the reply can go on with the last message, by Anthropic's rules."""
    last = messages[-1]
    if not isinstance(last, AssistantMessage):
        return
    param = f"messages[{len(messages) - 1}]"
    if any(isinstance(block, ToolUseBlock) for block in last.content):
        message = f"{param}: a tool_use needs its tool_result, in a message of the user's after it"
        raise InvalidRequestError(message, param=param)
    text = "".join(block.text for block in last.content if isinstance(block, TextBlock))
    if text != text.rstrip():
        message = f"{param}: final assistant content cannot end with trailing whitespace"
        raise InvalidRequestError(message, param=param)


def _chat_messages(conversation: Conversation) -> Iterator[chat.Message]:
    if conversation.system:
        yield chat.Message(role="system", content=_parts(conversation.system))
    known_ids: set[str] = set()
    last_user_index = max(
        (n for n, given in enumerate(conversation.messages) if isinstance(given, UserMessage)),
        default=-1,
    )
    for index, given in enumerate(conversation.messages):
        if index > last_user_index or not _is_for_one_turn(given):
            yield from _chat_messages_of(given, known_ids, param=f"messages[{index}]")


def _is_for_one_turn(given: InputMessage) -> bool:
    return isinstance(given, SystemMessage) and given.clear_at == "next_user_message"


def _chat_messages_of(
    given: InputMessage, known_ids: set[str], *, param: str
) -> Iterator[chat.Message]:
    """Chat messages of one message; tool results are messages of their own and come first."""
    parts = _parts([block for block in given.content if isinstance(block, TextBlock)])
    match given:
        case SystemMessage():
            yield chat.Message(role="system", content=parts)
        case AssistantMessage():
            calls = [block for block in given.content if isinstance(block, ToolUseBlock)]
            known_ids.update(call.id for call in calls)
            if parts or calls or not given.content:  # there may be nothing but thinking
                yield chat.Message(
                    role="assistant", content=parts, tool_calls=[_chat_call(call) for call in calls]
                )
        case UserMessage():
            yield from _results(given, known_ids, param=param)
            if parts or not given.content:
                yield chat.Message(role="user", content=parts)


def _results(given: UserMessage, known_ids: set[str], *, param: str) -> Iterator[chat.Message]:
    for index, block in enumerate(given.content):
        if not isinstance(block, ToolResultBlock):
            continue
        if block.tool_use_id not in known_ids:
            field = f"{param}.content[{index}].tool_use_id"
            raise InvalidRequestError(f"{field}: no tool_use before it has this id", param=field)
        yield chat.Message(
            role="tool", tool_call_id=block.tool_use_id, content=_parts(block.content)
        )


def _parts(blocks: Sequence[TextBlock]) -> list[Part]:
    return [TextPart(type="text", text=block.text) for block in blocks]


def _chat_call(block: ToolUseBlock) -> chat.ToolCall:
    arguments = json.dumps(block.input, ensure_ascii=False)
    return chat.ToolCall(
        id=block.id, function=chat.FunctionCall(name=block.name, arguments=arguments)
    )


def _chat_tool(tool: ClientTool) -> chat.Tool:
    function = chat.FunctionDefinition(
        name=tool.name,
        description=tool.description,
        parameters=tool.input_schema,
        strict=tool.strict,
    )
    return chat.Tool(type="function", function=function)


def _chat_tool_choice(
    choice: FreeToolChoice | NamedToolChoice | None,
) -> ChatToolChoice | chat.NamedToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, NamedToolChoice):
        function = chat.ChosenFunction(name=choice.name)
        return chat.NamedToolChoice(type="function", function=function)
    return _TOOL_CHOICES[choice.type]


def _response_format(wanted: OutputFormat) -> chat.ResponseFormat:
    return chat.ResponseFormat(
        type="json_schema", json_schema=chat.JsonSchema(schema=wanted.definition)
    )
