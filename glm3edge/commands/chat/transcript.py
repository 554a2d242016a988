"""Transcript files: saved conversations, and tool definitions.

    {"format": "glm3edge-chat", "version": 1, "model": "chatglm3-6b", "system": "...",
     "settings": {"temperature": 0.7}, "tools": [...], "messages": [...]}

``messages`` and ``tools`` are in OpenAI's form. The body of a request, or its list of messages
alone, can be loaded too.
"""

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from glm3edge.chatglm3.prompt import turns_by_message
from glm3edge.commands.chat.errors import TranscriptError
from glm3edge.commands.chat.generation_options import NAMES
from glm3edge.commands.chat.sources.base import first_error
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import ChatRequest, Tool
from glm3edge_convert.files import check_is_writable, read_file

FORMAT = "glm3edge-chat"
VERSION = 1

_MAX_BYTES = 64 * 2**20
_TOOLS: TypeAdapter[list[Tool]] = TypeAdapter(list[Tool])


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """Conversation with its system prompt, options, tools and model."""

    system: str = ""
    messages: list[dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    tools: list[dict[str, Any]] = field(default_factory=list)
    model: str = ""


def save(transcript: Transcript, path: Path) -> None:
    """Write a transcript atomically, readable by its owner only.

    Raises:
        TranscriptError: it cannot be written, or the file exists and is no transcript.
    """
    try:
        check_is_writable(path)
    except OSError as exc:
        raise TranscriptError(path, exc.strerror or str(exc)) from exc
    if path.exists() and not _is_transcript(path):
        raise TranscriptError(path, "it is a file that is not a saved chat; choose another name")
    body = {
        "format": FORMAT,
        "version": VERSION,
        "model": transcript.model,
        "system": transcript.system,
        "settings": transcript.settings,
        "tools": transcript.tools,
        "messages": transcript.messages,
    }
    text = json.dumps(body, ensure_ascii=False, indent=2) + "\n"
    try:
        _write(path, text)
    except OSError as exc:
        raise TranscriptError(path, exc.strerror or str(exc)) from exc


def load(path: Path) -> Transcript:
    """Read a transcript, the body of a request, or a list of messages.

    Raises:
        TranscriptError: the file cannot be read, or is none of these.
    """
    body = _read_json(path)
    if isinstance(body, list):
        body = {"messages": body}
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        raise TranscriptError(path, "it does not contain a list of messages")
    if body.get("format") == FORMAT and body.get("version") != VERSION:
        raise TranscriptError(
            path, f"it has version {body.get('version')}; this glm3edge reads version 1"
        )
    settings = body["settings"] if isinstance(body.get("settings"), dict) else body
    found = Transcript(
        system=str(body.get("system") or ""),
        messages=body["messages"],
        settings={name: settings[name] for name in NAMES if settings.get(name) is not None},
        tools=body.get("tools") or [],
        model=str(body.get("model") or ""),
    )
    _check(found, path)
    return _without_system(found)


def load_tools(path: Path) -> list[dict[str, Any]]:
    """Read tool definitions: a JSON list in OpenAI's form.

    Raises:
        TranscriptError: the file cannot be read, or is no such list.
    """
    body = _read_json(path)
    try:
        _TOOLS.validate_python(body)
    except ValidationError as exc:
        raise TranscriptError(path, f"it is not a list of tools: {first_error(exc)}") from exc
    tools: list[dict[str, Any]] = body
    return tools


def _check(transcript: Transcript, path: Path) -> None:
    request = {
        "messages": transcript.messages or [{"role": "user"}],
        "tools": transcript.tools or None,
        **transcript.settings,
    }
    try:
        turns_by_message(ChatRequest.model_validate(request).messages)
    except ValidationError as exc:
        raise TranscriptError(path, first_error(exc)) from exc
    except InvalidRequestError as exc:
        raise TranscriptError(path, str(exc)) from exc


def _without_system(transcript: Transcript) -> Transcript:
    """Transcript whose system messages are merged into the system prompt."""
    is_system = [message["role"] in ("system", "developer") for message in transcript.messages]
    request = ChatRequest.model_validate({"messages": transcript.messages or [{"role": "user"}]})
    texts = [message.text for message in request.messages if message.is_system]
    return Transcript(
        system="\n\n".join(filter(None, [transcript.system, *texts])),
        messages=[
            m for m, system in zip(transcript.messages, is_system, strict=True) if not system
        ],
        settings=transcript.settings,
        tools=transcript.tools,
        model=transcript.model,
    )


def _is_transcript(path: Path) -> bool:
    try:
        body = _read_json(path)
    except TranscriptError:
        return False
    return isinstance(body, dict) and body.get("format") == FORMAT


def _read_json(path: Path) -> Any:
    try:
        return json.loads(read_file(path, _MAX_BYTES).decode("utf-8-sig"))
    except OSError as exc:
        raise TranscriptError(path, exc.strerror or str(exc)) from exc
    except (ValueError, RecursionError) as exc:
        raise TranscriptError(path, f"no JSON: {exc}") from exc


def _write(path: Path, text: str) -> None:
    """Write under another name and rename, so that an old file stays until the new one is whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
