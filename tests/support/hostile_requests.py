"""Requests that ask for more than a server may spend on one: ten kinds, by name."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
EMBEDDINGS, RERANK, TOKENIZE, DETOKENIZE = (
    "/v1/embeddings",
    "/v1/rerank",
    "/tokenize",
    "/detokenize",
)
OLLAMA_CHAT, OLLAMA_GENERATE = "/api/chat", "/api/generate"
OLLAMA_EMBED, OLLAMA_EMBEDDINGS, OLLAMA_SHOW = "/api/embed", "/api/embeddings", "/api/show"
MIB = 2**20
USER = {"role": "user", "content": "你好"}
HELLO: dict[str, Any] = {"messages": [USER], "max_tokens": 1}
TEXTS = {
    "letters": "a" * (15 * MIB),
    "spaces": " " * (15 * MIB),
    "lines": "\n" * (7 * MIB),
    "Chinese": "长" * (5 * MIB),
    "emoji": "😀" * (MIB // 4),
    "words": "a b " * (3 * MIB // 4 - 100),
}

Make = Callable[[], object]
Cases = dict[str, tuple[str, Make]]


def _message(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 1}


def _text_bodies(text: str) -> dict[str, object]:
    """Bodies with a long text for each route that tokenizes one."""
    return {
        CHAT: _message(text),
        COMPLETIONS: {"prompt": text, "max_tokens": 1},
        RESPONSES: {"input": text, "max_output_tokens": 1},
        MESSAGES: _message(text),
        COUNT: _message(text),
        EMBEDDINGS: {"input": text},
        TOKENIZE: {"content": text, "with_pieces": True},
        OLLAMA_CHAT: _message(text) | {"stream": False, "options": {"num_predict": 1}},
        OLLAMA_GENERATE: {"prompt": text, "stream": False, "options": {"num_predict": 1}},
        OLLAMA_EMBED: {"input": text, "truncate": False},
        OLLAMA_EMBEDDINGS: {"prompt": text},
        OLLAMA_SHOW: {"model": text},
        RERANK: {"query": text, "documents": ["a"]},
    }


def _text_body(path: str, text: str) -> object:
    return _text_bodies(text)[path]


def _tool(schema: object, name: str = "f", **fields: object) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema, **fields}}


def _tools(*schemas: object) -> dict[str, Any]:
    return HELLO | {"tools": [_tool(schema, f"f{n}") for n, schema in enumerate(schemas)]}


def _format(schema: object) -> dict[str, Any]:
    form = {"name": "x", "schema": schema}
    return HELLO | {"response_format": {"type": "json_schema", "json_schema": form}}


def _object(schema: object) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


def _nested(levels: int, wrap: Callable[[object], object]) -> object:
    schema: object = {"type": "string"}
    for _ in range(levels):
        schema = wrap(schema)
    return schema


def _references(count: int) -> dict[str, Any]:
    defs = {
        f"d{n}": {
            "type": "object",
            "properties": {key: {"$ref": f"#/$defs/d{n + 1}"} for key in "ab"},
        }
        for n in range(count)
    }
    return _object({"$ref": "#/$defs/d0"}) | {"$defs": {**defs, f"d{count}": {"type": "string"}}}


def _own_grammar(grammar: str) -> dict[str, Any]:
    return {"prompt": "a", "max_tokens": 2, "structured_outputs": {"grammar": grammar}}


def _grammar(joined: str, count: int) -> dict[str, Any]:
    return _own_grammar(f"start: {joined.join(f'{chr(34)}w{n}{chr(34)}' for n in range(count))}")


def _calls(arguments: str, count: int = 1) -> dict[str, Any]:
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": arguments}}
        for n in range(count)
    ]
    return {"messages": [USER, {"role": "assistant", "tool_calls": calls}, USER], "max_tokens": 1}


_PATTERNS = [{"type": "string", "pattern": f".*a.{{{n}}}b.*"} for n in range(1, 30)]
_ITEMS: Cases = {
    "messages": (CHAT, lambda: {"messages": [USER] * 16_000}),
    "parts": (CHAT, lambda: {"messages": [USER | {"content": [{"type": "text"}] * 16_000}]}),
    "calls": (CHAT, lambda: _calls("{}", 8000)),
    "items": (RESPONSES, lambda: {"input": [USER] * 16_000}),
    "blocks": (MESSAGES, lambda: {"messages": [USER] * 16_000, "max_tokens": 1}),
    "counted": (COUNT, lambda: {"messages": [USER] * 16_000}),
    "Ollama's messages": (
        OLLAMA_CHAT,
        lambda: {"messages": [USER] * 16_000, "stream": False, "options": {"num_predict": 1}},
    ),
    "documents": (RERANK, lambda: {"query": "a", "documents": [{"text": "a"}] * 16_000}),
}
_TOOLS: Cases = {
    "10,000 tools": (CHAT, lambda: _tools(*[{"type": "object"}] * 10_000)),
    "5,000 tools": (CHAT, lambda: _tools(*[None] * 5000)),
    "types": (
        CHAT,
        lambda: _tools(_object(_nested(12, lambda s: {"type": ["array"] * 3, "items": s}))),
    ),
    "options": (CHAT, lambda: _tools(_object(_nested(12, lambda s: {"anyOf": [s, s]})))),
    "objects": (CHAT, lambda: _tools(_nested(90, _object))),
    "references": (CHAT, lambda: _tools(_references(9))),
    "values": (CHAT, lambda: _tools(_object({"enum": [1] * 590_000}))),
}
_FORMATS: Cases = {
    "allOf": (CHAT, lambda: _format({"allOf": _PATTERNS})),
    "references beside patterns": (
        CHAT,
        lambda: _format(
            {"$ref": "#/$defs/d0"}
            | {
                "$defs": {
                    f"d{n}": {**p, "$ref": f"#/$defs/d{n + 1}"} for n, p in enumerate(_PATTERNS)
                }
                | {"d29": {"type": "string"}}
            }
        ),
    ),
    "multipleOf": (CHAT, lambda: _format(_object({"type": "integer", "multipleOf": 9_999_991}))),
    "repetitions": (
        CHAT,
        lambda: _format(_object({"type": "string", "pattern": "^((a{1,99}){1,99}){99}$"})),
    ),
    "properties": (
        CHAT,
        lambda: _format(
            {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(3000)}}
        ),
    ),
    "patterns": (
        CHAT,
        lambda: _format(
            {"type": "object", "properties": {f"p{n}": p for n, p in enumerate(_PATTERNS * 30)}}
        ),
    ),
    "an enum": (CHAT, lambda: _format(_object({"enum": list(range(20_000))}))),
    "a long schema": (CHAT, lambda: _format(_object({"description": "长" * MIB}))),
}
_GRAMMARS: Cases = {
    "alternatives": (COMPLETIONS, lambda: _grammar(" | ", 60_000)),
    "texts": (COMPLETIONS, lambda: _grammar(" ", 100_000)),
    "options": (COMPLETIONS, lambda: _grammar("? ", 24_900)),
    "rules": (COMPLETIONS, lambda: _grammar("\na: ", 8000)),
    "a chain": (
        COMPLETIONS,
        lambda: _own_grammar("start: t0\n" + "".join(f"t{n}: t{n + 1}\n" for n in range(100_000))),
    ),
    "parentheses": (COMPLETIONS, lambda: _own_grammar(f'start: {"(" * MIB}"a"')),
    "a pattern": (COMPLETIONS, lambda: _own_grammar("start: /((a{1,99}){1,99}){99}/")),
}
_ARGUMENTS: Cases = {
    "lists": (CHAT, lambda: _calls('{"a":' + "[" * 4 * MIB + "]" * 4 * MIB + "}")),
    "numbers": (CHAT, lambda: _calls('{"a":[' + "1," * 7 * MIB + "1]}")),
    "many": (CHAT, lambda: _calls('{"a":[' + "1," * 100_000 + "1]}", 70)),
    "no JSON": (CHAT, lambda: _calls("(" * 7 * MIB)),
    "keys": (CHAT, lambda: _calls(json.dumps(dict.fromkeys(map(str, range(300_000)), 1)))),
    "one for a tool": (
        OLLAMA_CHAT,
        lambda: {
            "messages": [
                USER
                | {
                    "role": "assistant",
                    "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1] * 590_000}}}],
                },
                USER,
            ]
        },
    ),
}
_IDS: Cases = {
    "a prompt": (COMPLETIONS, lambda: {"prompt": [5] * 590_000}),
    "prompts": (COMPLETIONS, lambda: {"prompt": [[5] * 250] * 2048, "max_tokens": 900}),
    "inputs": (EMBEDDINGS, lambda: {"input": [[5] * 280] * 2048 + [[5]]}),
    "an input": (EMBEDDINGS, lambda: {"input": [5] * 590_000}),
    "tokens": (DETOKENIZE, lambda: {"tokens": [300] * 590_000}),
    "a context": (OLLAMA_GENERATE, lambda: {"prompt": "a", "context": [300] * 590_000}),
}
_BATCHES: Cases = {
    "choices": (COMPLETIONS, lambda: {"prompt": ["a"] * 2048, "n": 64, "max_tokens": 1}),
    "prompts": (COMPLETIONS, lambda: {"prompt": ["长" * 2000] * 2048}),
    "inputs": (EMBEDDINGS, lambda: {"input": ["长" * 2000] * 2048}),
    "texts": (OLLAMA_EMBED, lambda: {"input": ["长" * 2000] * 2048}),
    "ranked": (RERANK, lambda: {"query": "a", "documents": ["长" * 2000] * 2048}),
    "chat": (CHAT, lambda: HELLO | {"n": 64, "logit_bias": {str(n): 1 for n in range(5000)}}),
}
_FIELDS: Cases = {
    "a stop string": (CHAT, lambda: HELLO | {"stop": "长" * 5 * MIB}),
    "stop strings": (CHAT, lambda: HELLO | {"stop": ["长" * 100_000] * 16}),
    "a model": (CHAT, lambda: HELLO | {"model": "长" * 5 * MIB}),
    "an unknown field": (CHAT, lambda: HELLO | {"x": [[]] * 16_000 + [0] * 500_000}),
    "instructions": (RESPONSES, lambda: {"input": "a", "instructions": "长" * 5 * MIB}),
    "a system message": (MESSAGES, lambda: HELLO | {"system": "长" * 5 * MIB}),
}


def requests() -> Cases:
    """Path and body of each, by kind and name."""
    kinds: dict[str, Cases] = {
        **{
            f"text of {name}": {
                path: (path, partial(_text_body, path, text)) for path in _text_bodies("")
            }
            for name, text in TEXTS.items()
        },
        "items": _ITEMS,
        "tools": _TOOLS,
        "formats": _FORMATS,
        "grammars": _GRAMMARS,
        "arguments": _ARGUMENTS,
        "ids": _IDS,
        "batches": _BATCHES,
        "fields": _FIELDS,
    }
    return {
        f"{kind}: {name}": case for kind, cases in kinds.items() for name, case in cases.items()
    }


def encoded(body: object) -> bytes:
    """``body`` as clients send it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
