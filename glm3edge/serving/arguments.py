"""Arguments of tool calls as objects, for APIs that send no JSON text."""

import json
from typing import Any

from pydantic_core import from_json


def parsed_arguments(text: str) -> dict[str, Any]:
    """Arguments of a call; of one that was cut, those that are complete.

    Halves of surrogate pairs, which JSON text has as escapes only, become question marks.
    """
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        try:
            arguments = from_json(text, allow_partial=True)
        except ValueError:  # nested too deeply, or nothing is there yet
            return {}
    encodable = json.dumps(arguments, ensure_ascii=False).encode(errors="replace")
    parsed: dict[str, Any] = json.loads(encodable)
    return parsed
