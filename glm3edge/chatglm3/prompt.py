"""Prompts: messages and tools as a list of token ids, never as one string.

    [gMASK] sop { role-id encode(metadata + "\\n") encode(content) } ... <|assistant|>

Each ``encode`` is a call of its own, so text that spells a role tag can never become one. The
format is that of the official ``tokenization_chatglm.py`` (``build_single_message``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count, groupby

from glm3edge.chatglm3.tools import call_text, cut_call_text, system_text
from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary, text_of
from glm3edge.errors import InvalidRequestError
from glm3edge.schema.chat import Message, Tool


class Role(Enum):
    """Role of a turn, as the format names it."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    OBSERVATION = "observation"


@dataclass(frozen=True, slots=True)
class Turn:
    """One block of the prompt. ``metadata`` is the tool's name where the content is a call."""

    role: Role
    content: str
    metadata: str = ""


def build_turns(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[Turn]:
    """Turns of OpenAI's messages.

    The format knows one system turn, the first. All system messages go into it, after the tools.
    It has no ids of calls either: results that follow each other are in the order of their calls.

    Raises:
        InvalidRequestError: a message has no meaning where it stands.
    """
    system = [message.text for message in messages if message.is_system]
    parts = ([system_text(tools)] if tools else []) + [text for text in system if text]
    turns = [Turn(Role.SYSTEM, "\n\n".join(parts))] if parts else []
    by_message = turns_by_message(messages)
    return turns + [turn for index in _in_call_order(messages) for turn in by_message[index]]


def turns_by_message(messages: Sequence[Message]) -> list[list[Turn]]:
    """Turns of each message; none for system messages.

    Raises:
        InvalidRequestError: a message has no meaning where it stands.
    """
    known_call_ids: set[str] = set()
    return [
        list(_turns_of(message, known_call_ids, param=f"messages[{index}]"))
        for index, message in enumerate(messages)
    ]


def _in_call_order(messages: Sequence[Message]) -> Iterator[int]:
    """Indices of messages; results that follow each other are in the order of their calls."""
    numbers = count()
    places: dict[str | None, int] = {}  # of calls, by id: of those that share one, the last's
    for is_result, group in groupby(
        range(len(messages)), key=lambda index: messages[index].role == "tool"
    ):
        if is_result:
            yield from sorted(group, key=lambda index: places[messages[index].tool_call_id])
            continue
        for index in group:
            for call in messages[index].tool_calls or ():
                places[call.id] = next(numbers)
            yield index


def encode_turns(
    turns: Sequence[Turn],
    vocabulary: Vocabulary,
    special: SpecialTokens,
    *,
    asks_for_prose: bool = False,
    continues_last: bool = False,
) -> list[int]:
    """Token ids of the prompt that asks for the assistant's next turn.

    With ``asks_for_prose`` the turn's metadata line is in the prompt, empty as that of all prose:
    the reply is its content. Without, the model writes the line, which may name a tool. With
    ``continues_last`` the reply goes on with the last turn, the assistant's: turns have no end.
    """
    ids = list(special.prefix)
    for turn in turns:
        ids += encode_turn(turn, vocabulary, special)
    if continues_last:
        return ids
    ids.append(special.assistant)
    return ids + vocabulary.tokenize("\n") if asks_for_prose else ids


def encode_turn(turn: Turn, vocabulary: Vocabulary, special: SpecialTokens) -> list[int]:
    """Token ids of one block of the prompt; they do not depend on other blocks."""
    role_ids = {
        Role.SYSTEM: special.system,
        Role.USER: special.user,
        Role.ASSISTANT: special.assistant,
        Role.OBSERVATION: special.observation,
    }
    metadata_ids = vocabulary.tokenize(turn.metadata + "\n")
    return [role_ids[turn.role], *metadata_ids, *vocabulary.tokenize(turn.content)]


def decode_turns(
    token_ids: Sequence[int], vocabulary: Vocabulary, special: SpecialTokens
) -> list[Turn]:
    """Turns that ``encode_turn`` has made ``token_ids`` of, after a prompt's prefix.

    Raises:
        InvalidRequestError: they begin with no role.
    """
    roles = {
        special.system: Role.SYSTEM,
        special.user: Role.USER,
        special.assistant: Role.ASSISTANT,
        special.observation: Role.OBSERVATION,
    }
    starts = [number for number, token_id in enumerate(token_ids) if token_id in roles]
    if token_ids and starts[:1] != [0]:
        raise InvalidRequestError("these token ids are not a conversation of this model")
    ends = [*starts, len(token_ids)][1:]
    return [
        _decode_turn(roles[token_ids[start]], token_ids[start + 1 : end], vocabulary)
        for start, end in zip(starts, ends, strict=True)
    ]


def _decode_turn(role: Role, token_ids: Sequence[int], vocabulary: Vocabulary) -> Turn:
    """Turn of the ids after its role: the metadata line is what the first line end ends."""
    length = next(
        (n for n, token_id in enumerate(token_ids, 1) if b"\n" in vocabulary.piece(token_id)), 0
    )
    metadata = text_of(token_ids[:length], vocabulary).rstrip("\n")
    return Turn(role, text_of(token_ids[length:], vocabulary), metadata)


def _turns_of(message: Message, known_call_ids: set[str], *, param: str) -> Iterator[Turn]:
    if message.role == "user":
        yield Turn(Role.USER, message.text)
    elif message.role == "assistant":
        yield from _assistant_turns(message, known_call_ids)
    elif message.role == "tool":
        if message.tool_call_id not in known_call_ids:
            text = f"{param}: no assistant message before it has a tool call of this tool_call_id"
            raise InvalidRequestError(text, param=param)
        yield Turn(Role.OBSERVATION, message.text)
    elif message.role == "observation":
        yield Turn(Role.OBSERVATION, message.text)


def _assistant_turns(message: Message, known_call_ids: set[str]) -> Iterator[Turn]:
    if message.text or not message.tool_calls:
        yield Turn(Role.ASSISTANT, message.text)
    for call in message.tool_calls or ():
        known_call_ids.add(call.id)
        name, arguments = call.function.name, call.function.arguments
        try:
            content = call_text(name, arguments)
        except ValueError:
            content = cut_call_text(name, arguments)
        yield Turn(Role.ASSISTANT, content, metadata=name)
