"""Greedy replies of a front are those of llama.cpp on the weights as they are, call by call."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from recipe.questions import Question, messages, questions
from tests.support.paths import GLM3_TINY
from tests.support.servers import Server, start_server, stop_server
from tests.support.waiting import SECONDS

pytestmark = [pytest.mark.live, pytest.mark.engines, pytest.mark.slow]


@pytest.fixture(scope="module")
def f32_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The built-in model in f32."""
    cache = str(tmp_path_factory.mktemp("cache"))
    server = start_server(str(GLM3_TINY), "--type", "f32", GLM3EDGE_CACHE_DIR=cache)
    yield server
    assert stop_server(server) == 0


@pytest.fixture(scope="module")
def f32_front(request: pytest.FixtureRequest, f32_server: Server) -> Iterator[Server]:
    """A front over an engine that has the same weights."""
    if request.config.getoption("vllm"):
        yield request.getfixturevalue("front_server")
        return
    server = start_server(str(GLM3_TINY), "--engine", f32_server.url)
    yield server
    assert stop_server(server) == 0


def reply(server: Server, question: Question, tool_choice: str) -> Any:
    tools = [{"type": "function", "function": one} for one in question.dialogue.tools]
    body = {
        "messages": messages(question.dialogue),
        "temperature": 0,
        "repetition_penalty": 1,
        "max_tokens": 60,
        **({"tools": tools, "tool_choice": tool_choice} if tools else {}),
    }
    answer = httpx.post(f"{server.base_url}/chat/completions", json=body, timeout=SECONDS)
    assert answer.status_code == 200, answer.text
    choice, usage = answer.json()["choices"][0], answer.json()["usage"]
    for call in choice["message"].get("tool_calls") or ():
        del call["id"]
    return choice, usage["prompt_tokens"], usage["completion_tokens"]


@pytest.mark.parametrize(("tool_choice", "count"), [("auto", 60), ("required", 15)])
def test_dialogues(f32_server: Server, f32_front: Server, tool_choice: str, count: int) -> None:
    every = [one for one in questions(seed=7) if one.dialogue.tools or tool_choice == "auto"]
    asked = every[:: len(every) // count][:count]
    assert len(asked) == count
    expected = [reply(f32_server, question, tool_choice) for question in asked]
    assert [reply(f32_front, question, tool_choice) for question in asked] == expected
    calls = [choice for choice, *_ in expected if choice["message"].get("tool_calls")]
    assert count / 6 < len(calls) <= count
