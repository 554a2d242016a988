"""Requests of Ollama's API, translated to requests of the services."""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from glm3edge.errors import InvalidRequestError, RequestError
from glm3edge.schema import chat
from glm3edge.schema.chat import ChatRequest
from glm3edge.schema.completions import CompletionRequest
from glm3edge.schema.embeddings import EmbeddingsRequest
from glm3edge.schema.ollama import (
    GenerateRequest,
    OllamaChatRequest,
    OllamaMessage,
    OllamaOptions,
    OllamaTool,
    OllamaToolCall,
    OutputFormat,
)
from glm3edge.serving.ollama.names import untagged

_MANY_TOKENS = 2**31 - 1
"""Limit of a raw prompt's continuation that has none: the services lower it to what fits."""

_ZERO = re.compile(r"0+(\.0*)?[a-zµ]*")  # a duration such as 0, "0" or "0s"


def chat_request(body: OllamaChatRequest) -> ChatRequest:
    """Translate a request for a chat reply.

    Raises:
        InvalidRequestError: it asks for what ChatGLM3 cannot do.
    """
    return _chat_request(body, _chat_messages(body.messages or ()), body.tools or ())


def generate_request(body: GenerateRequest, history: Sequence[chat.Message]) -> ChatRequest:
    """Translate a request for a reply to a prompt, which is not ``raw``.

    ``history`` is the conversation in ``context``. A system message replaces those in it.

    Raises:
        InvalidRequestError: it asks for what ChatGLM3 cannot do.
    """
    _refuse_unsupported(body)
    messages = list(history)
    if body.system:
        messages = [message for message in messages if not message.is_system]
        messages.insert(0, chat.Message(role="system", content=body.system))
    messages.append(chat.Message(role="user", content=body.prompt))
    return _chat_request(body, messages)


def completion_request(body: GenerateRequest) -> CompletionRequest:
    """Translate a request to continue a ``raw`` prompt.

    Raises:
        InvalidRequestError: it asks for what plain text cannot have.
    """
    _refuse_unsupported(body)
    for name in ("system", "context", "format", "logprobs"):
        if getattr(body, name):
            message = f"{name}: raw mode does not support it; leave it out, or leave raw out"
            raise InvalidRequestError(message, param=name)
    return CompletionRequest(
        model=untagged(body.model),
        prompt=body.prompt,
        stream_options=chat.StreamOptions(include_usage=True),
        **{"max_tokens": _MANY_TOKENS, **_sampling(body.options)},
    )


def embeddings_request(
    model: str, texts: str | list[str], *, dimensions: int | None
) -> EmbeddingsRequest:
    """Translate a request for vectors of ``texts``, at least one."""
    return EmbeddingsRequest(model=untagged(model), input=texts, dimensions=dimensions or None)


def translate_error(error: RequestError) -> RequestError:
    """Translate an error of a chat request, so that it names the field that the caller has sent."""
    if error.param != "response_format":
        return error
    return InvalidRequestError(str(error).replace(error.param, "format"), param="format")


def load_reason(body: OllamaChatRequest | GenerateRequest) -> Literal["load", "unload"] | None:
    """Done reason of a request that only asks to load or unload the model; None for others."""
    content = body.messages if isinstance(body, OllamaChatRequest) else body.prompt
    if content:
        return None
    return "unload" if _ZERO.fullmatch(str(body.keep_alive)) else "load"


def _chat_request(
    body: OllamaChatRequest | GenerateRequest,
    messages: list[chat.Message],
    tools: Sequence[OllamaTool] = (),
) -> ChatRequest:
    _refuse_thinking(body)
    return ChatRequest(
        model=untagged(body.model),
        messages=messages,
        tools=[chat.Tool(type="function", function=tool.function) for tool in tools],
        response_format=_response_format(body.format) if body.format else None,
        truncation="disabled" if body.truncate is False else "auto",
        stream_options=chat.StreamOptions(include_usage=True),
        logprobs=body.logprobs,
        top_logprobs=body.top_logprobs if body.logprobs else None,
        **_sampling(body.options),
    )


def _chat_messages(messages: Sequence[OllamaMessage]) -> list[chat.Message]:
    """Chat messages, one for one, so that errors name the right index."""
    open_calls: dict[str, OllamaToolCall] = {}  # calls of the last message with any, by their ids
    translated = []
    for index, message in enumerate(messages):
        if message.role == "tool":
            translated.append(_result(message, open_calls))
            continue
        calls = {
            f"call_{index}_{number}": call for number, call in enumerate(message.tool_calls or ())
        }
        open_calls = calls or open_calls
        translated.append(
            chat.Message(
                role=message.role,
                content=message.content,
                tool_calls=[_chat_call(call_id, call) for call_id, call in calls.items()] or None,
            )
        )
    return translated


def _result(message: OllamaMessage, open_calls: dict[str, OllamaToolCall]) -> chat.Message:
    """A tool's result, which closes the call that it belongs to; some clients cut that off."""
    candidates = [
        [id_ for id_, call in open_calls.items() if call.id and call.id == message.tool_call_id],
        [id_ for id_, call in open_calls.items() if call.function.name == message.tool_name],
        list(open_calls),
    ]
    found = next((ids[0] for ids in candidates if ids), None)
    if found is None:
        return chat.Message(role="observation", content=message.content)
    del open_calls[found]
    return chat.Message(role="tool", tool_call_id=found, content=message.content)


def _chat_call(call_id: str, call: OllamaToolCall) -> chat.ToolCall:
    arguments = json.dumps(call.function.arguments, ensure_ascii=False)
    function = chat.FunctionCall(name=call.function.name, arguments=arguments)
    return chat.ToolCall(id=call_id, function=function)


def _response_format(wanted: OutputFormat) -> chat.ResponseFormat:
    if isinstance(wanted, dict):
        schema = chat.JsonSchema(schema=wanted)
        return chat.ResponseFormat(type="json_schema", json_schema=schema)
    return chat.ResponseFormat(type="json_object")


def _sampling(options: OllamaOptions | None) -> dict[str, Any]:
    """Fields of the services' requests that ``options`` set."""
    if options is None:
        return {}
    limit, seed, top_k = options.num_predict, options.seed, options.top_k
    fields = {
        "max_tokens": limit if limit is not None and limit > 0 else None,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": None if top_k is None else max(top_k, 0),
        "min_p": options.min_p,
        "seed": seed if seed is not None and seed >= 0 else None,
        "stop": options.stop,
        "repetition_penalty": options.repeat_penalty,
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _refuse_thinking(body: OllamaChatRequest | GenerateRequest) -> None:
    if body.think:
        message = f"think: {body.model!r} does not support thinking; send false, or leave it out"
        raise InvalidRequestError(message, param="think")


def _refuse_unsupported(body: GenerateRequest) -> None:
    _refuse_thinking(body)
    if body.suffix:
        message = f"suffix: {body.model!r} does not support insert; it only goes on from a prompt"
        raise InvalidRequestError(message, param="suffix")
    if body.template:
        message = (
            "template: ChatGLM3's format is fixed; leave it out, or send the whole text with raw"
        )
        raise InvalidRequestError(message, param="template")
