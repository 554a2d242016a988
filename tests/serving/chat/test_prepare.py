"""Jobs of chat requests: what is refused, and what reaches the engine."""

from typing import Any

import pytest

from glm3edge.errors import ContextLengthExceededError, InvalidRequestError
from glm3edge.serving.chat.service import ChatService
from tests.support.services import chat_request

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x"}}),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_what_cannot_be_is_refused(service: ChatService, field: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        service.prepare(chat_request(**{field: value}))
    assert caught.value.param == field


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": "required", "tools": [WEATHER]}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_without_a_guide_no_reply_is_constrained(
    service: ChatService, fields: dict[str, Any], param: str
) -> None:
    assert service.prepare(chat_request(tools=[WEATHER])).generations[0].grammar is None
    with pytest.raises(InvalidRequestError, match="needs a model") as caught:
        service.prepare(chat_request(**fields))
    assert caught.value.param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "logit_bias": {}, "response_format": {"type": "text"}},
        {"n": None, "temperature": None, "stop": None, "tools": None, "max_tokens": None},
    ],
)
def test_what_says_nothing_is_accepted(service: ChatService, fields: dict[str, Any]) -> None:
    assert service.prepare(chat_request(**fields)).generations[0].max_new_tokens > 1


def test_sampling_fields_reach_the_sampler(service: ChatService) -> None:
    job = service.prepare(chat_request(temperature=0, top_p=0.5, top_k=3, seed=7))
    sampling = job.generations[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.seed) == (0, 0.5, 3, 7)
    assert sampling.repetition_penalty == 1.1


def test_each_choice_has_a_seed(service: ChatService) -> None:
    jobs = service.prepare(chat_request(n=3, seed=7)), service.prepare(chat_request(n=2))
    seeds = [[generation.sampling.seed for generation in job.generations] for job in jobs]
    assert seeds == [[7, 8, 9], [None, None]]


def test_max_completion_tokens_wins(service: ChatService) -> None:
    job = service.prepare(chat_request(max_tokens=5, max_completion_tokens=9))
    assert job.generations[0].max_new_tokens == 9


def test_too_long(service: ChatService) -> None:
    with pytest.raises(ContextLengthExceededError):
        service.prepare(chat_request("x" * 5000))


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"top_logprobs": 3}, "top_logprobs", "needs logprobs"),
        ({"logit_bias": {"2000": 1}}, "logit_bias", "token id 2000; this model's are below 2000"),
    ],
)
def test_what_asks_for_no_tokens_of_the_model(
    service: ChatService, fields: dict[str, Any], param: str, message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message) as caught:
        service.prepare(chat_request(**fields))
    assert caught.value.param == param


def test_biases_reach_the_sampler(service: ChatService) -> None:
    job = service.prepare(chat_request(logit_bias={"5": -100, "7": 2.5}))
    assert job.generations[0].sampling.logit_bias == ((5, -100), (7, 2.5))
