"""Generation options of a request, as ``/set`` and ``--set`` take them."""

import difflib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from glm3edge.commands.chat.sources.base import first_error
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
"""Value that resets an option."""


class GenerationOptions:
    """Options that were set, by name; the server has defaults for the others."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._values.items())

    @property
    def body(self) -> dict[str, Any]:
        """Fields for the body of a request."""
        return dict(self._values)

    @property
    def max_tokens(self) -> int | None:
        """Maximum tokens of a reply, if set."""
        return self._values.get("max_tokens")

    @property
    def truncates(self) -> bool:
        """Whether the server truncates conversations that are too long for the context."""
        return self._values.get("truncation") == "auto"

    def set(self, name: str, text: str) -> None:
        """Set ``name`` to the value ``text``, or reset it with ``default``.

        Raises:
            ConfigError: there is no such option, or it cannot have the value.
        """
        if name not in NAMES:
            raise ConfigError(f"unknown setting {name}{_nearest(name)}")
        if text.lower() == DEFAULT:
            self._values.pop(name, None)
            return
        try:
            ChatOptions.model_validate({name: value_of(text)})
        except ValidationError as exc:
            raise ConfigError(first_error(exc)) from exc
        self._values[name] = value_of(text)

    def replace(self, values: dict[str, Any]) -> None:
        """Replace all options by ``values``, which have been validated."""
        self._values = {name: value for name, value in values.items() if name in NAMES}


def value_of(text: str) -> Any:
    """Value of ``text``: parsed as JSON, or else ``text`` itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _nearest(name: str) -> str:
    found = difflib.get_close_matches(name, NAMES, n=1)
    return f"; is {found[0]} meant?" if found else f": choose from {', '.join(NAMES)}"
