"""Conversations that are shortened to fit, on a scripted backend whose tokens are bytes."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from glm3edge.engine.engine import Engine
from glm3edge.errors import ContextLengthExceededError, InvalidRequestError
from glm3edge.schema.chat import ChatChunk, ChatReply, ChatRequest
from glm3edge.serving.chat.service import ChatService
from tests.support.fakes import EOS, FakeBackend, spell

CONTEXT_SIZE = 100
NUM_FRAME = len(["[gMASK]", "sop", "<|assistant|>", "\n"])
NUM_SYSTEM = 2 + len(b"brief")
NUM_TURN = 2 + len(b"0123456789")
"""Tokens of each message below: a role, a line's end and ten bytes."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    backend = FakeBackend(batch_size=512, context_size=CONTEXT_SIZE)
    backend.reply_for = lambda _prompt: [*spell("\nok"), EOS]
    engine = Engine(backend, use_drafts=False)
    yield engine
    engine.close()


def request(num_exchanges: int, **fields: Any) -> ChatRequest:
    """A conversation with that many exchanges before its last question."""
    messages = [{"role": "system", "content": "brief"}]
    for number in range(num_exchanges):
        messages.append({"role": "user", "content": f"question {number}"})
        messages.append({"role": "assistant", "content": f"answer   {number}"})
    messages.append({"role": "user", "content": "the last 1"})
    return ChatRequest.model_validate({"messages": messages, "truncation": "auto", **fields})


def test_by_default_nothing_is_left_out(service: ChatService) -> None:
    for truncation in (None, "disabled"):
        with pytest.raises(ContextLengthExceededError):
            service.prepare(request(9, truncation=truncation))


@pytest.mark.parametrize(
    ("max_tokens", "num_kept"),
    [
        (None, 2),  # a quarter of the context is kept free: 25 tokens
        (29, 2),
        (30, 1),
        (53, 1),
        (54, 0),
        (77, 0),
    ],
)
def test_the_oldest_exchanges_go(
    service: ChatService, max_tokens: int | None, num_kept: int
) -> None:
    (generation,) = service.prepare(request(9, max_tokens=max_tokens)).generations
    wanted = service.prepare(request(0, truncation=None)).generations[0].prompt_ids
    assert len(generation.prompt_ids) == len(wanted) + num_kept * 2 * NUM_TURN
    assert len(generation.prompt_ids) == NUM_FRAME + NUM_SYSTEM + NUM_TURN * (2 * num_kept + 1)
    text = bytes(token_id - 3 for token_id in generation.prompt_ids if 3 <= token_id < 259)
    oldest = b"question %d" % (9 - num_kept) if num_kept else b"the last 1"
    assert text.startswith(b"\nbrief\n" + oldest)
    assert text.endswith(b"\nthe last 1\n")
    left = CONTEXT_SIZE - len(generation.prompt_ids)
    assert generation.max_new_tokens == (max_tokens or left)


@pytest.mark.parametrize(("max_tokens", "num_kept"), [(25, 2), (53, 2), (78, 2), (20_000, 2)])
def test_a_limit_that_may_be_lowered_costs_no_messages(
    service: ChatService, max_tokens: int, num_kept: int
) -> None:
    job = service.prepare(request(9, max_tokens=max_tokens), clamp_max_tokens=True)
    assert job.num_prompt_tokens == NUM_FRAME + NUM_SYSTEM + NUM_TURN * (2 * num_kept + 1)
    left = CONTEXT_SIZE - job.num_prompt_tokens
    assert job.generations[0].max_new_tokens == min(max_tokens, left)


def test_what_may_not_go_and_does_not_fit_is_refused(service: ChatService) -> None:
    with pytest.raises(ContextLengthExceededError) as caught:
        service.prepare(request(9, max_tokens=78))
    assert caught.value.num_prompt_tokens == NUM_FRAME + NUM_SYSTEM + NUM_TURN
    assert caught.value.param == "messages"


def test_without_max_tokens_a_short_reply_is_better_than_none(service: ChatService) -> None:
    """What has to stay fits and leaves less than a quarter of the context."""
    messages = [
        {"role": "user", "content": "old"},
        {"role": "user", "content": "x" * (CONTEXT_SIZE - NUM_FRAME - 2 - 10)},
    ]
    body = {"messages": messages, "truncation": "auto"}
    job = service.prepare(ChatRequest.model_validate(body))
    assert job.generations[0].max_new_tokens == 10
    assert job.truncation is not None
    assert job.truncation.dropped_messages == 1


def test_wrong_messages_are_named_by_their_first_places(service: ChatService) -> None:
    messages = [*request(9).model_dump()["messages"], {"role": "tool", "tool_call_id": "nobody's"}]
    body = {"messages": messages, "truncation": "auto"}
    with pytest.raises(InvalidRequestError) as caught:
        service.prepare(ChatRequest.model_validate(body))
    assert caught.value.param == "messages[20]"


@pytest.mark.parametrize(
    ("num_exchanges", "told"),
    [(9, {"dropped_messages": 14, "dropped_tokens": 14 * NUM_TURN}), (1, None)],
)
def test_the_reply_tells(
    service: ChatService, engine: Engine, num_exchanges: int, told: dict[str, int] | None
) -> None:
    async def both() -> tuple[ChatReply, list[ChatChunk]]:
        engine.start(asyncio.get_running_loop().call_soon_threadsafe)
        job = service.prepare(request(num_exchanges, n=2))
        return await service.complete(job), [chunk async for chunk in service.stream(job)]

    whole, streamed = asyncio.run(both())
    reply = json.loads(whole.model_dump_json())
    first, *others = [json.loads(chunk.model_dump_json()) for chunk in streamed]
    assert reply.get("truncation", None) == first.get("truncation", None) == told
    assert ("truncation" in reply) == ("truncation" in first) == (told is not None)
    assert not any("truncation" in chunk for chunk in others)
