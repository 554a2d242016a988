"""A dialogue and its token ids, in the very format that the server asks a model with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from glm3edge.chatglm3.prompt import Role, Turn
from glm3edge.chatglm3.tools import call_text, system_text
from glm3edge.schema.chat import Tool
from glm3edge_convert.tokenizer.vocab import SPECIAL_TOKENS

Function = Mapping[str, Any]
"""A tool as OpenAI's ``function``: name, description, parameters."""


class Encoder(Protocol):
    """A SentencePiece model."""

    def encode(self, text: str) -> list[int]: ...
    def vocab_size(self) -> int: ...


@dataclass(frozen=True)
class Dialogue:
    """Turns, the last of which is the assistant's, and the tools that are offered.

    ``kind`` says what it teaches. The system turn, if there is one, is the first.
    """

    kind: str
    turns: tuple[Turn, ...]
    tools: tuple[Function, ...] = ()

    @property
    def all_turns(self) -> Sequence[Turn]:
        """The turns with the tools put into the system turn."""
        if not self.tools:
            return self.turns
        text = system_text([Tool(type="function", function=f) for f in self.tools])  # type: ignore[arg-type]
        first, rest = self.turns[0], self.turns[1:]
        if first.role is not Role.SYSTEM:
            return (Turn(Role.SYSTEM, text), *self.turns)
        return (Turn(Role.SYSTEM, f"{text}\n\n{first.content}"), *rest)


def call(name: str, arguments_json: str) -> Turn:
    """The assistant's call of the tool ``name``."""
    return Turn(Role.ASSISTANT, call_text(name, arguments_json), metadata=name)


def say(role: str, text: str) -> Turn:
    """A turn of plain text."""
    return Turn(Role(role), text)


def encode(dialogue: Dialogue, encoder: Encoder) -> tuple[list[int], list[bool]]:
    """Token ids, and for each whether the assistant wrote it.

    An assistant's turn ends with the tag of whom it waits for: ``<|observation|>`` after a call,
    ``<|user|>`` otherwise. That tag is the assistant's too.
    """
    ids_of = {name: encoder.vocab_size() + i for i, name in enumerate(SPECIAL_TOKENS)}
    ids = [ids_of["[gMASK]"], ids_of["<|sop|>"]]
    mine = [False, False]
    for turn in dialogue.all_turns:
        text = encoder.encode(turn.metadata + "\n") + encoder.encode(turn.content)
        ids += [ids_of[f"<|{turn.role.value}|>"], *text]
        mine += [mine[-1], *[turn.role is Role.ASSISTANT] * len(text)]
    last = dialogue.turns[-1]
    ids.append(ids_of["<|observation|>" if last.metadata else "<|user|>"])
    mine.append(True)
    return ids, mine
