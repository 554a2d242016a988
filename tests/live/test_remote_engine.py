"""A front whose engine is another server: the same replies, and what becomes of it without."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.encoders import make_bert
from tests.support.lora_adapters import layer_modules, make_adapter
from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS
from tests.support.weather import WEATHER

pytestmark = pytest.mark.live

QUESTIONS = ("你好", "你是谁？", "What is glm3edge?", "北京天气怎么样？", "1+1=?", "讲个故事")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cut": {"max_tokens": 5},
    "tools": {"tools": [WEATHER]},
    "a call": {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 40},
    "JSON": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": SCHEMA, "strict": True},
        },
        "max_tokens": 40,
    },
    "stop strings": {"stop": ["。", "e"]},
    "penalties": {"presence_penalty": 0.5, "frequency_penalty": 0.3, "logit_bias": {"70": 2}},
    "choices": {"n": 2, "seed": 7, "temperature": 0.8},
}


def choices(server: Server, question: str, **fields: Any) -> list[Any]:
    body = {"messages": [{"role": "user", "content": question}], "temperature": 0, **fields}
    reply = httpx.post(f"{server.base_url}/chat/completions", json=body, timeout=SECONDS)
    assert reply.status_code == 200, reply.text
    found: list[Any] = reply.json()["choices"]
    for choice in found:
        for call in choice["message"].get("tool_calls", ()):
            call["id"] = "any"
    return found


@pytest.mark.parametrize("form", FORMS)
def test_replies_are_those_of_the_engine(
    local_server: Server, front_server: Server, form: str
) -> None:
    for question in QUESTIONS:
        expected = choices(local_server, question, **FORMS[form])
        assert choices(front_server, question, **FORMS[form]) == expected


def test_log_probabilities_are_those_of_the_engine(
    local_server: Server, front_server: Server
) -> None:
    def logprobs(server: Server) -> list[Any]:
        (choice,) = choices(server, "你好", logprobs=True, top_logprobs=1)
        tokens = choice["logprobs"]["content"]
        return [one for token in tokens for one in (token, *token["top_logprobs"])]

    found, expected = logprobs(front_server), logprobs(local_server)
    assert [one["token"] for one in found] == [one["token"] for one in expected]
    values = [one["logprob"] for one in expected]
    assert [one["logprob"] for one in found] == pytest.approx(values, abs=0.1)


def test_cached_tokens_are_the_engine_s(front_server: Server) -> None:
    body = {"messages": [{"role": "user", "content": "你好 " * 30}], "temperature": 0}
    url = f"{front_server.base_url}/chat/completions"
    usages = [httpx.post(url, json=body, timeout=SECONDS).json()["usage"] for _ in range(2)]
    cached = usages[1]["prompt_tokens_details"]["cached_tokens"]
    assert cached > usages[1]["prompt_tokens"] / 2


def test_what_a_remote_engine_cannot_do_is_refused(front_server: Server) -> None:
    with openai.OpenAI(base_url=front_server.base_url, api_key="-", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError, match="start the server with --embedding-model"):
            client.embeddings.create(model="m", input="你好")
        messages: Any = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "北京"}]
        tools: Any = [WEATHER]
        with pytest.raises(openai.BadRequestError, match="cannot go on with the last") as caught:
            client.chat.completions.create(model="m", messages=messages, tools=tools)
        assert caught.value.param == "messages"
        assert client.chat.completions.create(model="m", messages=messages, max_tokens=4).choices


ENDLESS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "x"}],
    "max_tokens": 10_000,
    "stream": True,
    "temperature": 0,
    "repetition_penalty": 1,
}


@dataclass(frozen=True)
class Pair:
    """An engine of random weights, which never stop by themselves, and its front."""

    engine: Server
    front: Server
    options: tuple[str, ...]


@pytest.fixture(scope="module")
def pair(
    tiny_checkpoint: Path, tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    make_adapter(folder / "poet", tiny_checkpoint, layer_modules(1), seed=1)
    make_bert(folder / "bge-tiny")
    options = (str(tiny_gguf), "--lora", str(folder / "poet"), "--ctx-size", "16384")
    cache = ("--cache-dir", str(folder / "cache"))
    engine = start_server(*options, *cache, GLM3EDGE_API_KEY="secret")
    front = start_server(
        *(str(tiny_gguf), "--engine", engine.base_url, *cache),
        *("--embedding-model", str(folder / "bge-tiny")),
        GLM3EDGE_ENGINE_KEY="secret",
    )
    yield Pair(engine, front, (*options, *cache))
    assert stop_server(front) == 0
    engine.process.kill()
    engine.process.communicate()


def wait_for_health(server: Server, **wanted: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not wanted.items() <= httpx.get(f"{server.url}/health").json().items():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_adapters_are_those_of_the_engine(pair: Pair) -> None:
    with openai.OpenAI(base_url=pair.front.base_url, api_key="-", max_retries=0) as client:
        base, poet, *_ = client.models.list().data
        assert (poet.id, getattr(poet, "parent", None)) == ("poet", base.id)
        texts = {
            name: client.completions.create(model=name, prompt="你好", max_tokens=12, temperature=0)
            .choices[0]
            .text
            for name in (base.id, poet.id)
        }
        assert texts[base.id] != texts[poet.id]


def test_an_embedding_model_stays_here(pair: Pair) -> None:
    with openai.OpenAI(base_url=pair.front.base_url, api_key="-", max_retries=0) as client:
        assert len(client.embeddings.create(model="m", input=["a", "b"]).data) == 2


def test_leaving_the_front_frees_the_engine(pair: Pair) -> None:
    with httpx.stream("POST", f"{pair.front.base_url}/chat/completions", json=ENDLESS) as stream:
        lines = stream.iter_lines()
        assert next(lines)
        wait_for_health(pair.engine, running=1)
    wait_for_health(pair.engine, running=0, waiting=0)
    wait_for_health(pair.front, running=0, waiting=0)


def test_an_engine_that_dies_in_a_reply(pair: Pair) -> None:
    """The last of this module: the engine that is started again is another process."""
    url = f"{pair.front.base_url}/chat/completions"
    with httpx.stream("POST", url, json=ENDLESS, timeout=SECONDS) as stream:
        lines = stream.iter_lines()
        while '"content":"' not in next(lines):
            pass
        pair.engine.process.kill()
        pair.engine.process.communicate()
        events = [line.removeprefix("data: ") for line in lines if line.startswith("data:")]
    errors = [event for event in events if "error" in json.loads(event)]
    assert errors == events[-1:]
    assert json.loads(errors[0])["error"]["code"] == "engine_lost"
    assert not any('"finish_reason":"' in event for event in events)
    wait_for_health(pair.front, status="unavailable", reason="it does not answer")
    reply = httpx.post(url, json=ENDLESS | {"stream": False}, timeout=SECONDS)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "engine_lost")
    port = pair.engine.url.rpartition(":")[2]
    again = start_server(*pair.options, "--port", port, GLM3EDGE_API_KEY="secret")
    try:
        wait_for_health(pair.front, status="ok")
        body = ENDLESS | {"max_tokens": 4, "stream": False}
        assert httpx.post(url, json=body, timeout=SECONDS).status_code == 200
    finally:
        assert stop_server(again) == 0
