"""Which servers are taken for engines, and why others are not."""

from typing import Any

import httpx
import pytest

from glm3edge.remote.errors import EngineUnfitError
from glm3edge.remote.probe import find_engine
from tests.support.fake_engine import CARD, FakeServer
from tests.support.fakes import ASSISTANT, EOS, FakeVocabulary, spell

SAMPLE = "def f(x): # 你好，世界 42 😀"
GOOD: dict[str, Any] = {
    "text": f"{SAMPLE}b",
    "token_ids": [*spell(f" {SAMPLE}"), ASSISTANT, *spell(" b"), EOS],
}


def test_a_server_that_can_be_an_engine(url: httpx.URL, fake: FakeServer) -> None:
    fake.whole = GOOD
    fake.cards += [{"id": "mine", "parent": "glm"}, {"id": "bge", "parent": "other"}]
    server = find_engine(url, "secret", FakeVocabulary())
    assert (server.model, server.adapters, server.context_size) == ("glm", ("mine",), 64)
    assert not server.is_ours
    assert fake.keys == ["Bearer secret"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"cards": []}, "lists no models"),
        ({"cards": [{"id": "glm"}]}, "does not say how long the context of glm is"),
        ({"whole": {"text": "x"}}, "does not return token ids"),
        ({"whole": {"text": "x", "token_ids": ["1"]}}, "does not return token ids"),
        ({"whole": {"text": "x", "token_ids": [5, 6]}}, "does not follow grammars"),
        ({"whole": GOOD | {"text": "another"}}, "does not follow grammars"),
        ({"whole": GOOD | {"token_ids": [ASSISTANT, *spell("y")]}}, "has another vocabulary"),
        ({"whole": GOOD | {"token_ids": [ASSISTANT, 64_000]}}, "has another vocabulary"),
        ({"refusal": (400, "no completions here")}, r"refuses /completions \(400\): no compl"),
        ({"refusal": (401, "who?")}, "needs an API key: set GLM3EDGE_ENGINE_KEY"),
    ],
)
def test_a_server_that_cannot(
    url: httpx.URL, fake: FakeServer, fields: dict[str, Any], reason: str
) -> None:
    for name, value in {"whole": GOOD, **fields}.items():
        setattr(fake, name, value)
    with pytest.raises(EngineUnfitError, match=reason) as caught:
        find_engine(url, None, FakeVocabulary())
    assert str(caught.value).startswith(f"--engine {url}: ")


def test_nobody_there() -> None:
    with pytest.raises(EngineUnfitError, match=r"cannot be reached.*is it running"):
        find_engine(httpx.URL("http://127.0.0.1:9/v1"), None, FakeVocabulary())


def test_a_context_is_named_in_two_ways(url: httpx.URL, fake: FakeServer) -> None:
    fake.whole = GOOD
    fake.cards = [
        {key: value for key, value in CARD.items() if key != "max_model_len"}
        | {"context_length": 32, "owned_by": "glm3edge"}
    ]
    server = find_engine(url, None, FakeVocabulary())
    assert (server.context_size, server.is_ours) == (32, True)
