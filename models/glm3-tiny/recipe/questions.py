"""The questions of the evaluation: tools, values and phrasings that no training has seen."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glm3edge.chatglm3.prompt import Role, Turn
from glm3edge.chatglm3.tools import parse_call
from recipe import calls
from recipe.catalogue import read_concepts
from recipe.concept import Concept
from recipe.dialogue import Dialogue, say
from recipe.prose.conversations import conversation

COUNTS = {
    "call": 200,
    "result": 120,
    "again": 60,
    "prose": 80,
    "no_tool": 40,
    "code": 20,
    "code_result": 20,
    "chat": 120,
}
"""Number of questions of each kind."""


@dataclass(frozen=True)
class Question:
    """A dialogue whose last turn is what the assistant should say."""

    kind: str
    dialogue: Dialogue

    @property
    def expected(self) -> Turn:
        return self.dialogue.turns[-1]


TOOLS = ("held-out", "development", "trained")
"""Sets of tools; ``development`` is for looking at errors, which makes them known."""


def questions(*, seed: int, tools: str = "held-out") -> list[Question]:
    """The same questions for the same seed, about one of ``TOOLS``.

    Values and phrasings are those that training leaves out unless the tools are the trained ones.
    """
    held_out = tools != "trained"
    among: Sequence[Concept] = read_concepts(tools) if held_out else ()
    rng = random.Random(f"evaluation {seed}")
    found = []
    for kind, count in COUNTS.items():
        for index in range(count):
            language = ("zh", "en")[index % 2]
            if kind == "chat":
                messages = conversation(rng, language, held_out=held_out)
                turns = tuple(say(m["role"], m["content"]) for m in messages)
                found.append(Question(kind, Dialogue(kind, turns)))
                continue
            dialogue = calls.sample(
                rng,
                calls.KINDS[kind],
                language,
                num_tools=rng.choice((1, 2, 3)),
                among=among,
                held_out=held_out,
            )
            found.append(Question(kind, dialogue))
    return found


def messages(dialogue: Dialogue) -> list[dict[str, Any]]:
    """All but the last turn as OpenAI's messages."""
    out: list[dict[str, Any]] = []
    for index, turn in enumerate(dialogue.turns[:-1]):
        if turn.role is Role.OBSERVATION:
            out.append(
                {"role": "tool", "tool_call_id": f"call_{index - 1}", "content": turn.content}
            )
        elif turn.metadata:
            function = {"name": turn.metadata, "arguments": parse_call(turn.metadata, turn.content)}
            tool_call = {"id": f"call_{index}", "type": "function", "function": function}
            out.append({"role": "assistant", "content": None, "tool_calls": [tool_call]})
        else:
            out.append({"role": turn.role.value, "content": turn.content})
    return out
