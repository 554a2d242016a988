"""Continuation of an assistant message at the end of a conversation, also known as prefill.

By default such a message is continued, as llama.cpp's server does. vLLM's fields
``continue_final_message`` and ``add_generation_prompt`` ask for it, or for a message of its own.
"""

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatRequest


def continues_last_message(request: ChatRequest) -> bool:
    """Whether the reply goes on with the text of the last message.

    A message without text has nothing to go on with. One with tool calls ends with them; unless a
    continuation is asked for, what follows is a message of its own.

    Raises:
        InvalidRequestError: the two fields contradict each other or the messages.
    """
    is_wanted, is_new = request.continue_final_message, request.add_generation_prompt
    if is_wanted is not None and is_wanted == is_new:
        raise _refusal(
            f"Cannot set both `continue_final_message` and `add_generation_prompt` to {is_new}."
        )
    if is_wanted is False or is_new:
        return False
    last = request.messages[-1]
    if is_wanted or is_new is False:
        param = "continue_final_message" if is_wanted else "add_generation_prompt"
        if last.role != "assistant":
            raise _refusal(f"{param}: the last message must be the assistant's", param=param)
        if last.tool_calls:
            message = "Cannot continue an assistant message that contains tool calls."
            raise _refusal(message, param=param)
    return last.role == "assistant" and bool(last.text) and not last.tool_calls


def _refusal(message: str, *, param: str = "continue_final_message") -> InvalidRequestError:
    return InvalidRequestError(message, param=param)
