"""Dialogues with tools: calls with their arguments, and sentences about their results."""

import itertools
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glm3edge.chatglm3.prompt import Turn
from recipe import catalogue
from recipe.coin import hanzi, identifier, pseudo_word
from recipe.concept import Concept, Param
from recipe.dialogue import Dialogue, call, say
from recipe.nonce import nonce_concept
from recipe.prose.questions import question
from recipe.values import Value, draw

NO_TOOL = {
    "zh": "抱歉，我没有能做这件事的工具。",
    "en": "Sorry, I have no tool for that.",
}
ENGLISH = 0.15
"""The share of definitions in English whatever the language of the questions."""
_REAL = 0.7
"""The share of tools that are not coined."""
_TYPES = {"int": "integer", "float": "number", "bool": "boolean"}
TRAINED = tuple(concept for name in catalogue.TRAINED for concept in catalogue.read_concepts(name))
_SLOT = re.compile(r"\{(\w+)\}")
_OPENERS = {
    "zh": ("", "", "", "", "请问", "你好，", "麻烦", "那", "嗯，", "现在"),
    "en": ("", "", "", "", "Hi, ", "Hello! ", "Okay, ", "Now ", "And "),
}
_CLOSERS = {
    "zh": ("", "", "", "", "，谢谢", "，谢谢！", "。", "？", "，麻烦了"),
    "en": ("", "", "", "", " Thanks!", " Thank you.", " please"),
}


@dataclass(frozen=True)
class Ask:
    """A question that wants a tool: the tool as offered, and the call it should lead to."""

    tool: Mapping[str, Any]
    text: str
    arguments: Mapping[str, Value]


@dataclass(frozen=True)
class Offered:
    """A concept with one of its names, descriptions and sets of parameter names chosen."""

    concept: Concept
    tool: Mapping[str, Any]
    name_of: Mapping[str, str]
    language: str


def offer(
    rng: random.Random,
    concept: Concept,
    language: str,
    *,
    coined: float = 0.0,
    english: float = ENGLISH,
) -> Offered:
    """The definition of a tool, as OpenAI's ``function``.

    ``coined`` is the share of names, of the tool and its parameters, that are made up, so that
    names are learned to be copied and not to be remembered. ``english`` is the share of definitions
    in English whatever the language of the questions.
    """
    described = language if concept.is_coined or rng.random() < 1 - english else "en"
    asks = concept.asks_zh + concept.asks_en
    properties, required, name_of = {}, [], {}
    for param in concept.params:
        name = rng.choice(param.names)
        if rng.random() < coined:
            name = rng.choice((identifier(rng), f"{name}_{identifier(rng)}"))
        name_of[param.names[0]] = name
        properties[name] = _schema(param, described)
        if all(f"{{{param.names[0]}}}" in ask for ask in asks):
            required.append(name)
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    tool: dict[str, Any] = {
        "name": identifier(rng) if rng.random() < coined else rng.choice(concept.names),
        "description": rng.choice(concept.descriptions).of(described),
    }
    if properties or rng.random() < 0.3:
        tool["parameters"] = parameters
    return Offered(concept, tool, name_of, language)


def ask(rng: random.Random, offered: Offered, *, held_out: bool = False) -> Ask:
    """A question for the tool, and the arguments it asks for."""
    concept, language = offered.concept, offered.language
    text = rng.choice(concept.asks_zh if language == "zh" else concept.asks_en)
    slots = set(_SLOT.findall(text))
    words, arguments = {}, {}
    for param in concept.params:
        slot = param.names[0]
        if slot in slots:
            value, words[slot] = _value(rng, param, language, held_out=held_out)
            arguments[offered.name_of[slot]] = value
    text = text.format(**words)
    if rng.random() < 0.4 and not held_out:
        opener = rng.choice(_OPENERS[language])
        text = opener + (text if language == "zh" or not opener.endswith("d ") else _lower(text))
        if text[-1] not in "？?。.！!" and not (words and text.endswith(tuple(words.values()))):
            text += rng.choice(_CLOSERS[language])
    return Ask(offered.tool, text, arguments)


def answer(
    rng: random.Random,
    concept: Concept,
    language: str,
    *,
    coined: float = 0.0,
    held_out: bool = False,
) -> tuple[str, str]:
    """A tool's result, and the sentence about it. ``coined`` is as for ``offer``."""
    chance = rng.random()
    if chance < 0.06:
        reason = str(draw(rng, "text", language, held_out=held_out))
        text = json.dumps({"error": reason}, ensure_ascii=False)
        return text, f"出错了：{reason}。" if language == "zh" else f"That failed: {reason}."
    if chance < 0.18:
        text = str(
            draw(
                rng,
                rng.choice(("text", "int:-50:5000", "code", "person", "topic")),
                language,
                held_out=held_out,
            )
        )
        return text, f"好的，结果是 {text}。" if language == "zh" else f"Here you go: {text}."
    result = {}
    for name, kind in rng.choice(concept.results).items():
        key = rng.choice((identifier(rng), hanzi(rng, 2, 3))) if rng.random() < coined else name
        result[key] = (
            draw(rng, kind, language, held_out=held_out)
            if isinstance(kind, str)
            else rng.choice(kind)
        )
    text = json.dumps(result, ensure_ascii=False, **_layout(rng))
    if language == "zh":
        return text, "好的，" + "，".join(
            f"{key} 是 {value}" for key, value in result.items()
        ) + "。"
    return text, "Here you go: " + ", ".join(
        f"{key} is {value}" for key, value in result.items()
    ) + "."


EXCHANGES = {"result": 64, "prose": 17, "no_tool": 12, "code_result": 7}
"""Kinds of exchanges, and their weights in the training."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "call": ("call",),
    "result": ("result",),
    "again": ("result", "call"),
    "after": ("result", "prose"),
    "prose": ("prose",),
    "no_tool": ("no_tool",),
    "code": ("code",),
    "code_result": ("code_result",),
}
"""Kinds of dialogues, by their exchanges, as the evaluation asks them."""


def sample(
    rng: random.Random,
    exchanges: Sequence[str],
    language: str,
    *,
    num_tools: int,
    coined: float = 0.0,
    bare: float = 0.0,
    enums: float = 0.0,
    english: float = ENGLISH,
    among: Sequence[Concept] = (),
    held_out: bool = False,
) -> Dialogue:
    """A dialogue of ``exchanges``, with ``num_tools`` tools and the interpreter if it is used.

    No tool is called twice before each has been, or its name could be had from the call before.
    ``coined`` and ``english`` are as for ``offer``, ``enums`` as for ``nonce_concept``; ``bare`` is
    the share of tools without parameters. The tools are ``among`` those given, if any are, or else
    those of the training, three of ten coined.
    """
    count = num_tools + 2
    pool = rng.sample(among, count) if among else _pool(rng, count, bare=bare, enums=enums)
    offers = [offer(rng, concept, language, coined=coined, english=english) for concept in pool]
    absent = [offers.pop(), offers.pop()]
    tools = [offered.tool for offered in offers]
    if any(kind.startswith("code") for kind in exchanges) or rng.random() < 0.05:
        tools.insert(rng.randint(0, len(tools)), rng.choice(INTERPRETERS))
    order = itertools.cycle(rng.sample(offers, len(offers)))
    turns = [say("system", _note(rng, language))] if rng.random() < 0.1 else []
    for kind in exchanges:
        if kind == "prose":
            turns += _pair(question(rng, language, held_out=held_out))
        elif kind == "no_tool":
            asked = ask(rng, rng.choice(absent), held_out=held_out)
            turns += _pair((asked.text, NO_TOOL[language]))
        elif kind.startswith("code"):
            turns += _code(rng, kind, language, held_out=held_out)
        else:
            turns += _call(rng, kind, next(order), coined=coined, held_out=held_out)
    return Dialogue(exchanges[-1], tuple(turns), tuple(tools))


def _call(
    rng: random.Random, kind: str, offered: Offered, *, coined: float, held_out: bool
) -> list[Turn]:
    asked = ask(rng, offered, held_out=held_out)
    arguments = json.dumps(asked.arguments, ensure_ascii=False)
    turns = [say("user", asked.text), call(asked.tool["name"], arguments)]
    if kind == "result":
        returned, sentence = answer(
            rng, offered.concept, offered.language, coined=coined, held_out=held_out
        )
        turns += [say("observation", returned), say("assistant", sentence)]
    return turns


def _pool(rng: random.Random, count: int, *, bare: float, enums: float) -> list[Concept]:
    real = rng.sample(TRAINED, count)
    return [
        nonce_concept(rng, bare=True)
        if rng.random() < bare
        else concept
        if rng.random() < _REAL
        else nonce_concept(rng, enums=enums)
        for concept in real
    ]


def _pair(texts: tuple[str, str]) -> list[Turn]:
    return [say("user", texts[0]), say("assistant", texts[1])]


def _schema(param: Param, language: str) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": _TYPES.get(param.kind.partition(":")[0], "string"),
        "description": param.description.of(language),
    }
    if param.kind == "enum" and param.options:
        schema["enum"] = list(param.options)
    return schema


def _value(rng: random.Random, param: Param, language: str, *, held_out: bool) -> tuple[Value, str]:
    if param.options:
        value, words = rng.choice(list(param.options.items()))
        return value, words.of(language)
    drawn = draw(rng, param.kind, language, held_out=held_out)
    return drawn, str(drawn)


def _layout(rng: random.Random) -> dict[str, Any]:
    return rng.choice(({}, {}, {"separators": (",", ":")}, {"indent": 2}))


def _note(rng: random.Random, language: str) -> str:
    if language == "zh":
        return rng.choice(
            (
                "请简短回答。",
                "你是一个有用的助手。",
                "需要时使用工具。",
                f"用户叫{pseudo_word(rng)}。",
            )
        )
    return rng.choice(("Answer briefly.", "You are a helpful assistant.", "Use tools if needed."))


def _lower(text: str) -> str:
    return text if text.startswith(("I ", "I'")) else text[0].lower() + text[1:]


INTERPRETERS = (
    {
        "name": "interpreter",
        "description": "Run Python code",
        "parameters": {"type": "object", "properties": {"code": {"type": "string"}}},
    },
    {"name": "interpreter", "description": "执行 Python 代码"},
    {"name": "interpreter"},
)
"""The tool whose calls are code, as clients offer it."""
_SUMS = {
    "zh": (
        "计算{x}",
        "{x}等于多少",
        "算一下{x}",
        "请用 Python 计算 {x}",
        "{x}=？",
        "帮我算{x}的结果",
    ),
    "en": (
        "Compute {x}",
        "What is {x}?",
        "Calculate {x} please",
        "Use Python to compute {x}",
        "{x} = ?",
    ),
}


def _code(rng: random.Random, kind: str, language: str, *, held_out: bool) -> list[Turn]:
    expression = str(draw(rng, "expression", language, held_out=held_out))
    question = rng.choice(_SUMS[language]).format(x=expression)
    code = json.dumps({"code": f"print({expression})"})
    turns = [say("user", question), call("interpreter", code)]
    if kind == "code_result":
        result = str(draw(rng, "int:-9999:99999", language, held_out=held_out))
        sentence = f"好的，结果是 {result}。" if language == "zh" else f"Here you go: {result}."
        turns += [say("observation", result), say("assistant", sentence)]
    return turns
