"""Evaluation: questions kept out of training, asked of a quantized file through the server.

Replies are greedy (temperature 0, no repetition penalty).
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from openai import OpenAI

from glm3edge.chatglm3.prompt import Turn
from glm3edge.chatglm3.tools import parse_call
from recipe.dialogue import Dialogue, Encoder, call, encode, say
from recipe.model import ChatGLM3
from recipe.questions import Question, messages

_MAX_TOKENS = 300


@dataclass(frozen=True)
class Reply:
    """The model's reply: a turn, and whether it ended by itself."""

    turn: Turn
    ended: bool


@contextmanager
def served(checkpoint: Path, quant_type: str) -> Iterator[OpenAI]:
    """A client of ``glm3edge serve`` on the checkpoint, quantized to ``quant_type``."""
    command = [
        sys.executable,
        "-m",
        "glm3edge",
        "serve",
        str(checkpoint),
        "--port",
        "0",
        "--type",
        quant_type,
    ]
    with (
        tempfile.TemporaryDirectory() as cache,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "GLM3EDGE_CACHE_DIR": cache},
        ) as process,
    ):
        try:
            yield OpenAI(base_url=_base_url(process), api_key="none", max_retries=0)
        finally:
            process.terminate()


def _base_url(process: "subprocess.Popen[str]") -> str:
    for line in process.stdout or ():
        if found := re.search(r"server +(\S+)", line):
            return found[1]
    raise RuntimeError("the server did not start; see its message above")


def reply(client: OpenAI, question: Question, *, strict: bool) -> Reply:
    """Ask the server; calls are constrained to their tool's schema if ``strict``."""
    tools = [
        {"type": "function", "function": {**f, "strict": strict}} for f in question.dialogue.tools
    ]
    options: dict[str, Any] = {"tools": tools} if tools else {}
    made: Any = client.chat.completions.create(
        model="glm3-tiny",
        messages=messages(question.dialogue),  # type: ignore[arg-type]
        temperature=0,
        max_tokens=_MAX_TOKENS,
        extra_body={"repetition_penalty": 1.0},
        **options,
    )
    choice = made.choices[0]
    ended = choice.finish_reason in ("stop", "tool_calls")
    if choice.message.tool_calls:
        function = choice.message.tool_calls[0].function
        return Reply(call(function.name, function.arguments), ended)
    return Reply(say("assistant", choice.message.content or ""), ended)


def scores(asked: list[Question], replies: list[Reply]) -> dict[str, tuple[int, int]]:
    """Number of right replies and of all, by measure."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for question, said in zip(asked, replies, strict=True):
        for measure, is_right in _judged(question, said).items():
            total[measure] += 1
            right[measure] += is_right
    return {measure: (right[measure], total[measure]) for measure in total}


def _judged(question: Question, said: Reply) -> Mapping[str, bool]:
    expected, turn = question.expected, said.turn
    measures = {"ends": said.ended, f"exact {question.kind}": turn == expected}
    if question.dialogue.tools:
        measures["choice"] = bool(turn.metadata) == bool(expected.metadata)
    if expected.metadata:
        measures["name"] = turn.metadata == expected.metadata
        measures["arguments"] = measures["name"] and _arguments(turn) == _arguments(expected)
    elif question.kind == "result":
        returned = question.dialogue.turns[-2].content
        measures["result"] = not turn.metadata and all(v in turn.content for v in _values(returned))
    return measures


def _arguments(turn: Turn) -> Any:
    return json.loads(parse_call(turn.metadata, turn.content))


def _values(returned: str) -> list[str]:
    """The values that a sentence about ``returned`` has to quote."""
    try:
        parsed = json.loads(returned)
    except ValueError:
        return [returned]
    return [str(value) for value in parsed.values()] if isinstance(parsed, dict) else [returned]


@torch.no_grad()
def same_as(model: ChatGLM3, encoder: Encoder, question: Question, said: Reply) -> bool:
    """Whether ``model`` itself, greedy, would say the very same: one pass over what was said.

    What was said in other pieces than its text is encoded to counts as different.
    """
    turns = (*question.dialogue.turns[:-1], said.turn)
    ids, mine = encode(Dialogue(question.kind, turns, question.dialogue.tools), encoder)
    if len(ids) > model.shape.seq_length:
        return False
    start = len(ids) - mine[::-1].index(False)
    chosen = model.logits(model.hidden(torch.tensor([ids])))[0].argmax(-1).tolist()
    return bool(chosen[start - 1 : -1] == ids[start:])
