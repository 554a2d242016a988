"""GenerationOptions: how replies are asked for, as ``/set`` and ``--set`` take it."""

import difflib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from glm3edge.commands.chat.sources.base import first_fault
from glm3edge.errors import ConfigError
from glm3edge.schema.chat import ChatOptions

NAMES = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "max_tokens",
    "stop",
    "truncation",
)
"""Fields of a request that can be set."""

DEFAULT = "default"
"""The value that takes a setting back."""


class GenerationOptions:
    """Fields of a request that were set; the others are the server's to choose."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._values.items())

    @property
    def body(self) -> dict[str, Any]:
        """The fields, to be sent."""
        return dict(self._values)

    @property
    def max_tokens(self) -> int | None:
        """Tokens that a reply may have, if that was set."""
        return self._values.get("max_tokens")

    @property
    def is_shortening(self) -> bool:
        """Whether conversations that do not fit are shortened by who replies."""
        return self._values.get("truncation") == "auto"

    def set(self, name: str, text: str) -> None:
        """Set ``name`` to what ``text`` says, or take it back with ``default``.

        Raises:
            ConfigError: there is no such option, or the value is none for it.
        """
        if name not in NAMES:
            raise ConfigError(f"there is no setting {name}{_nearest(name)}")
        if text.lower() == DEFAULT:
            self._values.pop(name, None)
            return
        try:
            ChatOptions.model_validate({name: value_of(text)})
        except ValidationError as exc:
            raise ConfigError(first_fault(exc)) from exc
        self._values[name] = value_of(text)

    def replace(self, values: dict[str, Any]) -> None:
        """Set all at once, to values that were checked."""
        self._values = {name: value for name, value in values.items() if name in NAMES}


def value_of(text: str) -> Any:
    """A number or a JSON value; what is neither is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _nearest(name: str) -> str:
    found = difflib.get_close_matches(name, NAMES, n=1)
    return f"; is {found[0]} meant?" if found else f": choose from {', '.join(NAMES)}"
