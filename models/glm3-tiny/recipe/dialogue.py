"""A dialogue and its token ids, in the very format that the server asks a model with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from glm3edge.chatglm3.prompt import Role, Turn
from glm3edge.chatglm3.tools import call_text, system_text
from glm3edge.schema.chat import Tool

SPECIAL_TOKENS = (
    "[MASK]", "[gMASK]", "[sMASK]", "sop", "eop",
    "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>",
)  # fmt: skip
"""In the order of their ids, which start at the number of pieces."""


class Encoder(Protocol):
    """A SentencePiece model."""

    def encode(self, text: str) -> list[int]: ...
    def vocab_size(self) -> int: ...


@dataclass(frozen=True)
class Dialogue:
    """Turns, the last of which is the assistant's; ``kind`` says what is being taught."""

    kind: str
    turns: tuple[Turn, ...]


def system(tools: Sequence[Mapping[str, Any]], text: str = "") -> Turn:
    """The system turn with ``tools`` (functions as OpenAI names them) and a text after them."""
    definitions = [Tool.model_validate({"type": "function", "function": t}) for t in tools]
    parts = [system_text(definitions)] if tools else []
    return Turn(Role.SYSTEM, "\n\n".join(parts + ([text] if text else [])))


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
    ids = [ids_of["[gMASK]"], ids_of["sop"]]
    mine = [False, False]
    for turn in dialogue.turns:
        is_reply = turn.role is Role.ASSISTANT
        text = encoder.encode(turn.metadata + "\n") + encoder.encode(turn.content)
        ids += [ids_of[f"<|{turn.role.value}|>"], *text]
        mine += [mine[-1], *[is_reply] * len(text)]
    last = dialogue.turns[-1]
    ids.append(ids_of["<|observation|>" if last.metadata else "<|user|>"])
    mine.append(True)
    return ids, mine


