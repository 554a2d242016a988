"""Messages with calls and results in OpenAI's older form, translated to the current form.

Results have no ids there: a result belongs to the last call before it of the same name.
"""

from collections.abc import Sequence

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import FunctionCall, Message, MessageFields, ToolCall
from glm3edge.schema.legacy import BodyMessage
from glm3edge.serving.legacy.raw_calls import split_raw_call


def chat_messages(messages: Sequence[BodyMessage]) -> list[Message]:
    """Translate messages one for one, so that later errors name the right index.

    Raises:
        InvalidRequestError: a result has no name, or belongs to nothing before it.
    """
    history = _History()
    followers: list[BodyMessage | None] = [*messages[1:], None]
    return [
        history.add(message, follower, param=f"messages[{index}]")
        for index, (message, follower) in enumerate(zip(messages, followers, strict=True))
    ]


class _History:
    """Conversation so far: which calls have no result yet."""

    def __init__(self) -> None:
        self._open_calls: dict[str, str] = {}  # function -> id of its last call
        self._num_calls = 0
        self._last_role = ""

    def add(self, message: BodyMessage, follower: BodyMessage | None, *, param: str) -> Message:
        """Translate the next message, which ``follower`` comes after."""
        if message.role == "function":
            result = self._result(message, param=param)
        elif message.role == "assistant":
            result = self._assistant(message, follower)
        else:
            result = _copy(message, role=message.role)
        self._last_role = message.role
        return result

    def _assistant(self, message: BodyMessage, follower: BodyMessage | None) -> Message:
        self._open_calls.clear()
        call = message.function_call
        raw = None
        if call is not None:
            raw = split_raw_call(message.text, call.name)
        elif follower is not None and follower.role == "function" and follower.name:
            raw = split_raw_call(message.text, follower.name)
            call = raw and FunctionCall(name=follower.name, arguments=raw[1])
        if not call:
            return _copy(message, role="assistant")
        content = message.content if raw is None else raw[0]
        calls = [*(message.tool_calls or ()), self._open_call(call)]
        return _copy(message, role="assistant", content=content, tool_calls=calls)

    def _open_call(self, call: FunctionCall) -> ToolCall:
        call_id = f"function_call_{self._num_calls}"
        self._num_calls += 1
        self._open_calls[call.name] = call_id
        return ToolCall(id=call_id, function=call)

    def _result(self, message: BodyMessage, *, param: str) -> Message:
        if not message.name:
            text = f"{param}.name: a message of the role function needs its function's name"
            raise InvalidRequestError(text, param=f"{param}.name")
        if call_id := self._open_calls.pop(message.name, None):
            return _copy(message, role="tool", tool_call_id=call_id)
        if self._open_calls:
            text = f"{param}.name: the call before it is of {min(self._open_calls)!r}"
            raise InvalidRequestError(text, param=f"{param}.name")
        if self._last_role not in ("assistant", "function"):
            text = f"{param}: no assistant message before it calls {message.name!r}"
            raise InvalidRequestError(text, param=param)
        return _copy(message, role="observation")


def _copy(message: BodyMessage, **changes: object) -> Message:
    fields = {name: getattr(message, name) for name in MessageFields.model_fields}
    return Message.model_validate({**fields, **changes})
