"""Text completions, on a scripted backend."""

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from glm3edge.engine.engine import Engine
from glm3edge.errors import ContextLengthExceededError, InvalidRequestError
from glm3edge.schema.completions import CompletionReply, CompletionRequest
from glm3edge.serving.completions import CompletionService
from tests.support.fakes import (
    ASSISTANT,
    EOS,
    GMASK,
    OBSERVATION,
    SOP,
    SYSTEM,
    USER,
    FakeBackend,
    FakeVocabulary,
    spell,
)
from tests.support.services import run


@pytest.fixture
def service(engine: Engine) -> CompletionService:
    return CompletionService(engine, FakeVocabulary(), model_id="fake")


def request(**fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"max_tokens": 100, **fields})


def both(
    service: CompletionService, engine: Engine, **fields: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The whole reply, then the chunks of a stream, to the same request."""

    async def main() -> tuple[CompletionReply, list[CompletionReply]]:
        job = service.prepare(request(**fields))
        return await service.complete(job), [chunk async for chunk in service.stream(job)]

    whole, chunks = run(engine, main)
    return whole.model_dump(), [json.loads(chunk.model_dump_json()) for chunk in chunks]


def complete(service: CompletionService, engine: Engine, **fields: Any) -> dict[str, Any]:
    reply: CompletionReply = run(
        engine, lambda: service.complete(service.prepare(request(**fields)))
    )
    return reply.model_dump()


def joined(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The choices that a stream makes up."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for part in chunk["choices"]:
            choice = choices.setdefault(part["index"], {"text": "", "finish_reason": None})
            assert choice["finish_reason"] is None
            choice["text"] += part["text"]
            choice["finish_reason"] = part["finish_reason"]
    return [choices[index] for index in sorted(choices)]


def test_text_goes_on_with_no_roles(
    backend: FakeBackend, service: CompletionService, engine: Engine
) -> None:
    prompts: list[list[int]] = []

    def reply_for(prompt: Any) -> list[int]:
        prompts.append(list(prompt))
        return [*spell("疑是地上霜"), EOS]

    backend.reply_for = reply_for
    reply = complete(service, engine, prompt="床前明月光，")
    assert prompts == [[GMASK, SOP, *spell("床前明月光，")]]
    assert reply["object"] == "text_completion"
    assert reply["id"].startswith("cmpl-")
    assert reply["choices"] == [
        {"index": 0, "text": "疑是地上霜", "logprobs": None, "finish_reason": "stop"}
    ]
    usage = reply["usage"]
    assert usage["prompt_tokens"] == len(prompts[0])
    assert usage["completion_tokens"] == len(spell("疑是地上霜")) + 1
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_text_that_spells_control_tokens_stays_text(service: CompletionService) -> None:
    text = "<|user|>[gMASK]<|assistant|>"
    job = service.prepare(request(prompt=text))
    assert job.generations[0].prompt_ids == [GMASK, SOP, *spell(text)]


@pytest.mark.parametrize("token_id", [EOS, USER, OBSERVATION, ASSISTANT, SYSTEM])
def test_any_role_ends_the_text(
    backend: FakeBackend, service: CompletionService, engine: Engine, token_id: int
) -> None:
    backend.reply_for = lambda _prompt: [*spell("好"), token_id, *spell("不")]
    (choice,) = complete(service, engine, prompt="x")["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("好", "stop")


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        (None, [[]]),
        ("", [[]]),
        ("你好", [spell("你好")]),
        (["你好", "", "b"], [spell("你好"), [], spell("b")]),
        (spell("你好"), [spell("你好")]),
        ([spell("你好"), spell("b")], [spell("你好"), spell("b")]),
        ([GMASK, SOP, USER, 5], [[USER, 5]]),
    ],
)
def test_every_form_of_prompt(
    service: CompletionService, prompt: Any, prompts: list[list[int]]
) -> None:
    job = service.prepare(request(prompt=prompt))
    wanted = [[GMASK, SOP, *ids] for ids in prompts]
    assert [generation.prompt_ids for generation in job.generations] == wanted


def test_several_prompts_give_choices_in_order(
    backend: FakeBackend, service: CompletionService, engine: Engine
) -> None:
    """More of them than run at once."""
    backend.reply_for = lambda prompt: [*spell("到"), *prompt[2:], EOS]
    prompts = [f"第{number}句" for number in range(9)]
    fields = {"prompt": prompts, "n": 2, "stream_options": {"include_usage": True}}
    reply, (*chunks, last) = both(service, engine, **fields)
    texts = [f"到{prompt}" for prompt in prompts for _ in range(2)]
    assert [choice["text"] for choice in reply["choices"]] == texts
    assert [choice["index"] for choice in reply["choices"]] == list(range(18))
    num_prompt_tokens = sum(2 + len(spell(prompt)) for prompt in prompts)
    assert reply["usage"]["prompt_tokens"] == num_prompt_tokens
    assert reply["usage"]["completion_tokens"] == sum(len(spell(text)) + 1 for text in texts)
    assert [choice["text"] for choice in joined(chunks)] == texts
    assert last["choices"] == []
    details = last["usage"].pop("prompt_tokens_details")
    assert details["cached_tokens"] > reply["usage"].pop("prompt_tokens_details")["cached_tokens"]
    assert last["usage"] == reply["usage"]


def test_no_more_run_at_once_than_the_engine_takes(
    backend: FakeBackend, service: CompletionService, engine: Engine
) -> None:
    most = 0

    def reply_for(_prompt: Any) -> list[int]:
        nonlocal most
        most = max(most, engine.num_running + engine.num_waiting)
        return [*spell("好"), EOS]

    backend.reply_for = reply_for
    job = service.prepare(request(prompt=["x"] * 200))
    assert job.num_at_once == engine.max_running
    assert len(complete(service, engine, prompt=["x"] * 200)["choices"]) == 200
    assert most <= engine.max_running


def test_a_stream(backend: FakeBackend, service: CompletionService, engine: Engine) -> None:
    backend.reply_for = lambda _prompt: [*spell("好a"), EOS]
    backend.gate = gate = threading.Semaphore(len(spell("好")))  # what comes at once is one chunk

    async def collect() -> list[CompletionReply]:
        chunks = []
        async for chunk in service.stream(service.prepare(request(prompt="你"))):
            chunks.append(chunk)
            gate.release()
        return chunks

    chunks = [json.loads(chunk.model_dump_json()) for chunk in run(engine, collect)]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [choice["text"] for choice in choices] == ["好", "a", ""]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all("usage" not in chunk for chunk in chunks)


@pytest.mark.parametrize("prompt", ["床前", spell("床前"), [GMASK, SOP, *spell("床前")]])
def test_echo(
    backend: FakeBackend, service: CompletionService, engine: Engine, prompt: str | list[int]
) -> None:
    backend.reply_for = lambda _prompt: [*spell("明月光"), EOS]
    fields = {"prompt": [prompt], "n": 2, "echo": True}
    reply, chunks = both(service, engine, **fields)
    for choices in (reply["choices"], joined(chunks)):
        assert [choice["text"] for choice in choices] == ["床前明月光"] * 2


@pytest.mark.parametrize(("max_tokens", "text"), [(None, "x" * 16), (3, "xxx"), (20, "x" * 20)])
def test_length(
    backend: FakeBackend,
    service: CompletionService,
    engine: Engine,
    max_tokens: int | None,
    text: str,
) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 100)
    (choice,) = complete(service, engine, prompt="y", max_tokens=max_tokens)["choices"]
    assert (choice["text"], choice["finish_reason"]) == (text, "length")


def test_the_default_length_shrinks_to_what_is_left(
    backend: FakeBackend, service: CompletionService, engine: Engine
) -> None:
    backend.context_size = 50
    backend.reply_for = lambda _prompt: spell("x" * 100)
    reply = complete(service, engine, prompt="y" * 40, max_tokens=None)
    assert reply["usage"]["total_tokens"] == 50


def test_a_limit_may_be_lowered(backend: FakeBackend, service: CompletionService) -> None:
    backend.context_size = 50
    asked = request(prompt="y" * 40, max_tokens=10**9)
    with pytest.raises(ContextLengthExceededError):
        service.prepare(asked)
    job = service.prepare(asked, clamp_max_tokens=True)
    assert job.generations[0].max_new_tokens == 50 - len(job.generations[0].prompt_ids)


@pytest.mark.parametrize("max_tokens", [None, 9])
def test_any_prompt_that_is_too_long(service: CompletionService, max_tokens: int | None) -> None:
    prompts = ["short", "x" * 4090]
    with pytest.raises(ContextLengthExceededError) as caught:
        service.prepare(request(prompt=["short", "x" * 5000], max_tokens=max_tokens))
    assert caught.value.param == "prompt"
    assert len(service.prepare(request(prompt=prompts, max_tokens=4)).generations) == 2


@pytest.mark.parametrize("logprobs", [None, 2])
def test_a_stop_string(
    backend: FakeBackend, service: CompletionService, engine: Engine, logprobs: int | None
) -> None:
    backend.reply_for = lambda _prompt: spell("答案是四\n问：")
    fields = {"prompt": "问：二加二？答：", "stop": ["\n问", "没有"], "logprobs": logprobs}
    reply, chunks = both(service, engine, **fields)
    (choice,) = reply["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("答案是四", "stop")
    (streamed,) = joined(chunks)
    assert streamed == {"text": "答案是四", "finish_reason": "stop"}
    if logprobs is not None:
        assert len(choice["logprobs"]["tokens"]) == len(spell("答案是四"))


def test_logprobs(backend: FakeBackend, service: CompletionService, engine: Engine) -> None:
    backend.reply_for = lambda _prompt: [*spell("a好b"), EOS]
    reply, chunks = both(service, engine, prompt="x", logprobs=2)
    (choice,) = reply["choices"]
    parts = ["bytes:\\xe5", "bytes:\\xa5", "bytes:\\xbd"]
    assert choice["logprobs"]["tokens"] == ["a", *parts, "b"]
    assert choice["logprobs"]["token_logprobs"] == [-1.0] * 5
    assert choice["logprobs"]["top_logprobs"][0] == {"a": -1.0, "b": -2.0}
    assert choice["logprobs"]["text_offset"] == [0, 1, 1, 1, 2]
    streamed = [c["logprobs"] for chunk in chunks for c in chunk["choices"] if c["logprobs"]]
    for name, values in choice["logprobs"].items():
        assert [value for part in streamed for value in part[name]] == values


def test_no_logprobs_of_an_empty_text_are_empty_lists(
    backend: FakeBackend, service: CompletionService, engine: Engine
) -> None:
    backend.reply_for = lambda _prompt: [EOS]
    (choice,) = complete(service, engine, prompt="x", logprobs=0)["choices"]
    assert choice["text"] == ""
    assert choice["logprobs"] == {
        "tokens": [],
        "token_logprobs": [],
        "top_logprobs": [],
        "text_offset": [],
    }


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"suffix": "尾"}, "suffix", "cannot fill gaps"),
        ({"best_of": 2}, "best_of", "n choices"),
        ({"best_of": 2, "n": 2}, "best_of", "n choices"),
        ({"echo": True, "logprobs": 0}, "logprobs", "leave out echo"),
        ({"logit_bias": {"2000": 1}}, "logit_bias", "2000; this model's are below 2000"),
        ({"prompt": [5, 2000]}, "prompt", "2000; this model's are below 2000"),
        ({"prompt": [[5], [2001]]}, "prompt", "2001; this model's are below 2000"),
    ],
)
def test_what_cannot_be_is_refused(
    service: CompletionService, fields: dict[str, Any], param: str, message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message) as caught:
        service.prepare(request(**fields))
    assert caught.value.param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"suffix": None, "best_of": None, "logprobs": None, "echo": None, "n": None, "stop": None},
        {"suffix": "", "best_of": 1, "echo": False, "logit_bias": {}, "user": "我"},
    ],
)
def test_what_says_nothing_is_accepted(service: CompletionService, fields: dict[str, Any]) -> None:
    assert len(service.prepare(request(prompt="x", **fields)).generations) == 1


def test_every_prompt_has_the_same_seeds(service: CompletionService) -> None:
    """So a prompt's choices do not depend on the prompts beside it."""
    job = service.prepare(request(prompt=["a", "b"], n=2, seed=7, top_k=3))
    assert [generation.sampling.seed for generation in job.generations] == [7, 8, 7, 8]
    assert {generation.sampling.top_k for generation in job.generations} == {3}


def test_leaving_a_stream_cancels_what_runs_and_what_waits(
    backend: FakeBackend, service: CompletionService, engine: Engine
) -> None:
    backend.reply_for = lambda _prompt: spell("x" * 3000)

    async def leave() -> None:
        chunks = service.stream(service.prepare(request(prompt=["a"] * 9, max_tokens=3000)))
        for _ in range(10):
            await anext(chunks)
        await chunks.aclose()
        while engine.num_running + engine.num_waiting:
            await asyncio.to_thread(time.sleep, 0.01)

    run(engine, leave)
    assert len(backend.samplers) <= engine.max_running
    assert all(sampler.is_closed and sampler.position < 3000 for sampler in backend.samplers)


@pytest.mark.parametrize(("model", "expected", "adapter"), [("poet", "poet", 1), ("x", "fake", 0)])
def test_the_model_field_chooses_an_adapter(
    backend: FakeBackend, engine: Engine, model: str, expected: str, adapter: int
) -> None:
    backend.reply_for = lambda _prompt: [*spell("x"), EOS]
    service = CompletionService(engine, FakeVocabulary(), model_id="fake", adapter_ids=["poet"])
    whole, chunks = both(service, engine, prompt=["a", "b"], model=model)
    assert {reply["model"] for reply in [whole, *chunks]} == {expected}
    assert set(backend.adapters) == {adapter}


@pytest.mark.parametrize(
    ("stop_ids", "num_ids"), [(None, 3), ([], 6), ([spell("c")[0]], 5), ([ASSISTANT], 3)]
)
def test_token_ids_are_all_that_were_sampled(
    backend: FakeBackend,
    service: CompletionService,
    engine: Engine,
    stop_ids: list[int] | None,
    num_ids: int,
) -> None:
    """Roles' tags, which are no text, and the token that ends the text."""
    sampled = [*spell("ab"), ASSISTANT, USER, *spell("c"), EOS]
    backend.reply_for = lambda _prompt: sampled
    fields = {"prompt": "x", "return_token_ids": True, "logprobs": 0, "stop_token_ids": stop_ids}
    whole, chunks = both(service, engine, **fields, return_tokens_as_token_ids=True)
    (choice,) = whole["choices"]
    assert choice["token_ids"] == sampled[:num_ids]
    assert choice["text"] == ("abc" if num_ids > 5 else "ab")
    parts = [part for chunk in chunks for part in chunk["choices"]]
    assert [one for part in parts for one in part["token_ids"]] == sampled[:num_ids]
    names = [f"token_id:{token_id}" for token_id in sampled[: num_ids - 1]]
    assert choice["logprobs"]["tokens"] == names
    assert choice["logprobs"]["top_logprobs"] == [{name: -1.0} for name in names]


def test_token_ids_do_not_wait_for_text(
    backend: FakeBackend, service: CompletionService, engine: Engine
) -> None:
    """A character's first bytes, and what may begin a stop string."""
    backend.reply_for = lambda _prompt: [*spell("你ab"), EOS]
    fields = {"prompt": "x", "return_token_ids": True, "logprobs": 0, "stop": "abc"}
    whole, chunks = both(service, engine, **fields)
    parts = [part for chunk in chunks for part in chunk["choices"]]
    for part in parts[:-1]:
        assert len(part["token_ids"]) == len(part["logprobs"]["tokens"])
    assert whole["choices"][0]["token_ids"] == [*spell("你ab"), EOS]
    assert "".join(part["text"] for part in parts) == whole["choices"][0]["text"] == "你ab"
