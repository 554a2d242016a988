"""Checks of request fields whose errors say what to do instead."""

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def refusal(reason: str) -> PydanticCustomError:
    """Error to raise in a validator; the client sees ``reason`` as its message."""
    return PydanticCustomError("unsupported", "{reason}", {"reason": reason})


def refused(reason: str, *, but: tuple[object, ...] = ()) -> BeforeValidator:
    """Validator of a field that a local text model cannot follow: null is accepted, and ``but`` is,
    which asks for nothing."""

    def check(value: object) -> object:
        if value is not None and value not in but:
            raise refusal(reason)
        return value

    return BeforeValidator(check)


def kind_of(value: object) -> object:
    """The ``type`` of a JSON object, or of a model that was made from one."""
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


def _refuse_custom(value: object) -> object:
    kind = value if isinstance(value, str) else kind_of(value)
    if kind == "custom":
        raise refusal(
            "custom tools are not supported: use a tool of type function with one string parameter"
        )
    return value


no_custom_tools = BeforeValidator(_refuse_custom)
"""Validator that refuses ``custom`` tools, and objects of that type."""
