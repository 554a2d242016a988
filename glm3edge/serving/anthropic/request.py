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

ChatToolChoice = Literal["none", "auto", "required"]

_TOOL_CHOICES: dict[str, ChatToolChoice] = {"auto": "auto", "any": "required", "none": "none"}


def chat_request(request: MessagesRequest) -> ChatRequest:
    """Translate a request for a message.

    Raises:
        InvalidRequestError: a message has no meaning where it stands.
    """
    if isinstance(request.messages[-1], AssistantMessage):
        param = f"messages[{len(request.messages) - 1}]"
        raise InvalidRequestError(
            f"{param}: a reply cannot go on from its beginning here; the last message must be the "
            "user's",
            param=param,
        )
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
    """Chat request of the fields that make the prompt.

    Raises:
        InvalidRequestError: a message has no meaning where it stands.
    """
    choice = conversation.tool_choice
    config = conversation.output_config
    return ChatRequest(
        model=conversation.model,
        messages=list(_chat_messages(conversation)),
        tools=[_chat_tool(tool) for tool in conversation.tools or ()],
        tool_choice=_chat_tool_choice(choice),
        parallel_tool_calls=not (choice and choice.disable_parallel_tool_use),
        response_format=_response_format(config.format) if config and config.format else None,
    )


def _chat_messages(conversation: Conversation) -> Iterator[chat.Message]:
    if conversation.system:
        yield chat.Message(role="system", content=_parts(conversation.system))
    known_ids: set[str] = set()
    for index, given in enumerate(conversation.messages):
        yield from _chat_messages_of(given, known_ids, param=f"messages[{index}]")


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
