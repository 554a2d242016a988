"""Every route that chats takes an adapter's name for a model."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from glm3edge.engine.engine import Engine
from glm3edge.schema.models import ModelCard
from glm3edge.serving.chat.service import ChatService
from glm3edge.serving.completions import CompletionService
from glm3edge.serving.services import Services
from tests.support.fakes import EOS, FakeBackend, FakeVocabulary, spell

MESSAGES = [{"role": "user", "content": "hi"}]
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 9},
}


@pytest.fixture
def services(backend: FakeBackend, services: Services) -> Services:
    backend.reply_for = lambda _prompt: [*spell("ok"), EOS]
    engine, vocabulary, adapter_ids = services.engine, FakeVocabulary(), ["poet"]
    assert isinstance(engine, Engine)
    card = ModelCard(id="poet", created=1, parent="fake", context_length=backend.context_size)
    return Services(
        engine=engine,
        chat=ChatService(engine, vocabulary, model_id="fake", adapter_ids=adapter_ids),
        texts=CompletionService(engine, vocabulary, model_id="fake", adapter_ids=adapter_ids),
        embeddings=services.embeddings,
        tokens=services.tokens,
        cards=(*services.cards, card),
    )


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("name", "adapter"), [("poet", 1), ("fake", 0), ("gpt-4o", 0)])
def test_the_model_field(
    client: TestClient, backend: FakeBackend, route: str, name: str, adapter: int
) -> None:
    reply = client.post(route, json={**ROUTES[route], "model": name})
    assert reply.status_code == 200
    assert reply.json()["model"] == ("poet" if adapter else "fake")
    assert set(backend.adapters) == {adapter}
    streamed = client.post(route, json={**ROUTES[route], "model": name, "stream": True})
    assert f'"model":"{reply.json()["model"]}"' in streamed.text
    assert set(backend.adapters) == {adapter}


def test_the_list_says_whose_adapter_it_is(client: TestClient) -> None:
    base, adapter = client.get("/v1/models").json()["data"]
    assert (base["id"], "parent" in base) == ("fake", False)
    assert (adapter["id"], adapter["parent"]) == ("poet", "fake")
    assert client.get("/v1/models/poet").json() == adapter


def test_vectors_are_the_models_own(client: TestClient, backend: FakeBackend) -> None:
    reply = client.post("/v1/embeddings", json={"model": "poet", "input": "hi"})
    assert reply.json()["model"] == "fake"
    assert backend.adapters == [0]
