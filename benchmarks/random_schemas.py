"""Random JSON schemas against a running server: whatever the weights say, replies have to fit.

    python benchmarks/random_schemas.py MODEL.gguf --schemas 1000

asks for a call of a tool with each schema and for JSON of it, plain and streamed. A model of random
weights says what nobody would; a grammar has to hold it all the same.
"""

import argparse
import json
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import openai

from benchmarks.serving import served

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = [
    *(
        "city",
        "days",
        "unit",
        "x",
        "y_2",
        "Zone",
        "from_",
        "城市",
        "出発地",
        "größe",
        "имя",
        "名·字",
    ),
    *("from", "None", "class", "match", "print", "from__keyword", "file-path", "-A", "a b", "$ref"),
    *("@type", "a.b", "it's", 'say "hi"', "back\\slash", "", " ", "1st", "ﬁle", "ª", "x\n", "\x00"),
    *("🦊", "**", "=", "a=1", "})", "tool_call(", "'", "#", "{}", "<|user|>", "\u2028", "e\u0301"),
]
_OPTIONS = ["a", "it's", 'say "hi"', "北京", "back\\slash", 3, -1.5, True, None, "\n"]
_MAX_TOKENS = 1500


def random_schema(rng: random.Random, depth: int = 0, *, bounded: bool = False) -> dict[str, Any]:
    """A schema of anything; ``bounded`` ones have no string or array without a largest length."""
    kinds = ["text", "integer", "number", "boolean", "null", "enum", "const"]
    kinds += [] if bounded else ["string"]
    nested = ["array", "object", "anyOf", "oneOf", "types", "tuple", "map", "sum", "either"]
    kind = rng.choice(kinds + nested * (depth < 3))
    made: dict[str, Callable[[], dict[str, Any]]] = {
        "enum": lambda: {"enum": rng.sample(_OPTIONS, rng.randint(1, 4))},
        "const": lambda: {"const": rng.choice(["x", 7, False])},
        "text": lambda: _random_string(rng, bounded=bounded),
        "array": lambda: {
            "type": "array",
            "items": random_schema(rng, depth + 1, bounded=bounded),
            **_random_length(rng, bounded=bounded),
        },
        "object": lambda: random_object(rng, depth + 1, bounded=bounded),
        "anyOf": lambda: {"anyOf": _random_schemas(rng, depth, bounded=bounded)},
        "oneOf": lambda: {"oneOf": [{"type": "null"}, {"type": ["integer", "boolean"]}]},
        "tuple": lambda: _random_tuple(rng, depth, bounded=bounded),
        "map": lambda: _random_map(rng, depth, bounded=bounded),
        "sum": lambda: _random_sum(rng, depth, bounded=bounded),
        "either": lambda: _random_either(rng, depth, bounded=bounded),
        "types": lambda: {
            "type": rng.sample(["string", "integer", "null", "boolean"][bounded:], 2)
        },
        "number": lambda: (
            {"type": "number", "minimum": -9, "maximum": 99, "multipleOf": 0.5}
            if bounded  # JSON's have any number of digits
            else {"type": "number"}
        ),
    }
    return made[kind]() if kind in made else {"type": kind}


def random_object(rng: random.Random, depth: int = 0, *, bounded: bool = False) -> dict[str, Any]:
    """A schema of an object with one to five properties, half of them required."""
    names = list(dict.fromkeys([*rng.sample(_NAMES, rng.randint(1, 4)), *_random_name(rng)]))
    properties = {name: random_schema(rng, depth, bounded=bounded) for name in names}
    required = [name for name in names if rng.random() < 0.5]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _random_schemas(rng: random.Random, depth: int, *, bounded: bool) -> list[dict[str, Any]]:
    return [random_schema(rng, depth + 1, bounded=bounded) for _ in range(2)]


def _random_tuple(rng: random.Random, depth: int, *, bounded: bool) -> dict[str, Any]:
    items = _random_schemas(rng, depth, bounded=bounded)
    return {"type": "array", "prefixItems": items, "items": False, "minItems": rng.randint(0, 2)}


def _random_map(rng: random.Random, depth: int, *, bounded: bool) -> dict[str, Any]:
    """A schema of an object whose names are not given."""
    values = random_schema(rng, depth + 1, bounded=bounded)
    keys: list[dict[str, Any]] = [
        {"patternProperties": {"^[a-c]{1,3}$": values}, "additionalProperties": False},
        {"additionalProperties": values, "propertyNames": {"pattern": "^[a-c]{1,3}$"}},
        {"additionalProperties": values, "propertyNames": {"enum": ["a", "北京"]}},
    ]
    chosen = rng.choice(keys if bounded else [*keys, {"additionalProperties": values}])
    has_names = "enum" in chosen.get("propertyNames", {})
    return {"type": "object", **chosen} | ({} if has_names else {"maxProperties": 2})


def _random_sum(rng: random.Random, depth: int, *, bounded: bool) -> dict[str, Any]:
    """A schema of an object whose properties are those of several."""
    parts = [random_object(rng, depth + 1, bounded=bounded) for _ in range(rng.randint(1, 2))]
    first, *others = (
        {key: part[key] for key in ("type", "properties", "required")} for part in parts
    )
    taken = first["properties"].keys()
    for other in others:
        for name in taken & other["properties"].keys():
            del other["properties"][name]
        other["required"] = [name for name in other["required"] if name not in taken]
    ends = {"maxProperties": sum(len(part["required"]) for part in [first, *others])}
    names = {name: True for part in [first, *others] for name in part["required"]}
    for part in [first, *others]:
        part["properties"] = {name: part["properties"][name] for name in part["required"]}
    return {"allOf": [first, *others], **ends, "type": "object", "properties": names}


def _random_either(rng: random.Random, depth: int, *, bounded: bool) -> dict[str, Any]:
    """A schema of an object that needs one property or the other."""
    made = random_object(rng, depth + 1, bounded=bounded)
    names = list(made["properties"])
    return made | {"anyOf": [{"required": [rng.choice(names)]}, {"required": [rng.choice(names)]}]}


def _random_name(rng: random.Random) -> list[str]:
    """A name of any characters, or none."""
    characters = (chr(rng.choice((rng.randrange(128), rng.randrange(0xD800)))) for _ in range(4))
    return ["".join(characters)] if rng.random() < 0.3 else []


def _random_string(rng: random.Random, *, bounded: bool) -> dict[str, Any]:
    least = rng.randint(0, 3)
    rules: list[dict[str, Any]] = [
        {"maxLength": 4},
        {"minLength": least, "maxLength": least + 2},
        {"pattern": "^[A-Z]{2}-[0-9]{1,3}$"},
        {"pattern": "^[北京]+$", "maxLength": 5},
        {"format": "date"},
    ]
    rules += [] if bounded else [{"minLength": least}, {"pattern": "[北京]"}]
    return {"type": "string", **rng.choice(rules)}


def _random_length(rng: random.Random, *, bounded: bool) -> dict[str, Any]:
    lengths: list[dict[str, Any]] = [{"minItems": 2, "maxItems": 3}, {"maxItems": 1}]
    return rng.choice(lengths + ([] if bounded else [{}, {"minItems": 1}]))


def check(model: Path, *, num_schemas: int, seed: int = 1) -> tuple[Counter[str], list[str]]:
    """How many replies of each kind fitted, and what was wrong with the others."""
    fitted: Counter[str] = Counter()
    wrong: list[str] = []
    with served(model, context_size=8192) as server, ThreadPoolExecutor(4) as pool:
        base_url = f"http://127.0.0.1:{server.port}/v1"
        client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
        for kind, schema, error in pool.map(
            lambda number: _one(client, seed, number), range(num_schemas)
        ):
            if error:
                wrong.append(f"{kind}: {error}: {json.dumps(schema, ensure_ascii=False)}")
            else:
                fitted[kind] += 1
    return fitted, wrong


def _one(client: openai.OpenAI, seed: int, number: int) -> tuple[str, dict[str, Any], str]:
    schema = random_object(random.Random(f"{seed} {number}"), bounded=True)
    kind = ("call", "streamed call", "JSON", "streamed JSON")[number % 4]
    try:
        ask = _call if "call" in kind else _json
        text = ask(client, schema, number, stream="streamed" in kind)
        jsonschema.validate(json.loads(text), schema)
    except (openai.APIError, ValueError, jsonschema.ValidationError) as exc:
        return kind, schema, f"{type(exc).__name__}: {exc}"[:300]
    return kind, schema, ""


def _call(client: openai.OpenAI, schema: dict[str, Any], number: int, *, stream: bool) -> str:
    """The arguments of a call that has to be made."""
    function = {"name": "find", "parameters": schema, "strict": True}
    reply = _create(
        client, number, tools=[{"type": "function", "function": function}], tool_choice="required"
    )(stream=stream)
    if not stream:
        return str(reply.choices[0].message.tool_calls[0].function.arguments)
    calls = [
        call
        for chunk in reply
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
    ]
    return "".join(call.function.arguments or "" for call in calls)


def _json(client: openai.OpenAI, schema: dict[str, Any], number: int, *, stream: bool) -> str:
    wanted = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
    reply = _create(client, number, response_format=wanted)(stream=stream)
    if not stream:
        return str(reply.choices[0].message.content)
    return "".join(c.delta.content or "" for chunk in reply for c in chunk.choices)


def _create(client: openai.OpenAI, number: int, **fields: Any) -> Any:
    create: Any = client.chat.completions.create

    def ask(*, stream: bool) -> Any:
        return create(
            model="any",
            messages=[{"role": "user", "content": "随便说点什么"}],
            max_tokens=_MAX_TOKENS,
            temperature=1.5,
            seed=number,
            stream=stream,
            **fields,
        )

    return ask


def main() -> int:
    """Run and print; the exit code says whether all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--schemas", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    fitted, wrong = check(arguments.model, num_schemas=arguments.schemas, seed=arguments.seed)
    print(json.dumps(fitted, indent=2))
    for line in wrong[:20]:
        print(line)
    print(f"{len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
