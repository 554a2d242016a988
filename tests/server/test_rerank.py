"""Reranking in the forms of Jina's API and of Cohere's, with scripted scores."""

import math
import threading
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from glm3edge.config.settings import load_settings
from glm3edge.engine.encoder_queue import EncoderQueue
from glm3edge.engine.engine import Engine
from glm3edge.limits import MAX_TEXTS
from glm3edge.server.app import create_app
from glm3edge.serving.rerank import RerankService, sigmoid
from glm3edge.serving.services import Services
from tests.support.fakes import FakeReranker
from tests.support.waiting import wait_for

DOCUMENTS = ["cat", "abcabc", "a", "你好"]
LOGITS = [-1, 3, -2, -3]
ORDER = [1, 0, 2, 3]
LEAVING = 0.3  # seconds after which a client gives up


@pytest.fixture
def reranker() -> FakeReranker:
    return FakeReranker()


@pytest.fixture
def services(services: Services, reranker: FakeReranker) -> Services:
    assert isinstance(services.engine, Engine)
    queue = EncoderQueue(services.engine, reranker)
    return replace(services, rerank=RerankService(queue, reranker, model_id="fake-reranker"))


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "any", "query": "abc", "documents": DOCUMENTS, **fields}


def rerank(client: TestClient, path: str = "/v1/rerank", **fields: Any) -> Any:
    reply = client.post(path, json=body(**fields))
    assert reply.status_code == 200, reply.text
    return reply.json()


def order(reply: Any) -> list[int]:
    return [result["index"] for result in reply["results"]]


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
def test_the_most_relevant_is_first(client: TestClient, path: str) -> None:
    reply = rerank(client, path)
    assert order(reply) == ORDER
    for result in reply["results"]:
        expected = 1 / (1 + math.exp(-LOGITS[result["index"]]))
        assert result["relevance_score"] == pytest.approx(expected)
        assert result["document"] == {"text": DOCUMENTS[result["index"]]}
    assert (reply["object"], reply["model"]) == ("list", "fake-reranker")
    assert reply["id"].startswith("rerank-")


def test_usage_in_both_forms(client: TestClient) -> None:
    reply, num_tokens = rerank(client), 4 * len("abc|") + 3 + 6 + 1 + 6
    usage = {"prompt_tokens": num_tokens, "completion_tokens": 0, "total_tokens": num_tokens}
    assert reply["usage"] == usage
    assert reply["meta"] == {"tokens": {"input_tokens": num_tokens, "output_tokens": 0}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"top_n": 1}, 1),
        ({"top_n": 3}, 3),
        ({"top_n": 100}, 4),
        ({"top_n": 0}, 4),  # vLLM's default
        ({"top_n": None}, 4),  # LangChain
    ],
)
def test_the_number_of_results(client: TestClient, fields: Any, expected: int) -> None:
    assert order(rerank(client, **fields)) == ORDER[:expected]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"return_documents": True}, True),
        ({"return_documents": False}, False),
        ({"return_documents": None}, True),
        ({"return_documents": "true"}, True),  # RAGFlow
        ({"return_documents": "false"}, False),
    ],
)
def test_documents_are_returned_or_left_out(
    client: TestClient, fields: Any, expected: bool
) -> None:
    for result in rerank(client, **fields)["results"]:
        assert ("document" in result) == expected


def test_documents_may_be_objects(client: TestClient) -> None:
    documents = [{"text": text, "title": "x"} for text in DOCUMENTS]
    assert rerank(client, documents=documents)["results"] == rerank(client)["results"]
    mixed = [DOCUMENTS[0], *documents[1:]]
    assert rerank(client, documents=mixed)["results"] == rerank(client)["results"]


def test_equal_scores_stay_in_order(client: TestClient) -> None:
    assert order(rerank(client, documents=["x", "a", "y", "b", ""])) == [1, 3, 0, 2, 4]


def test_long_documents_are_cut_off(client: TestClient, reranker: FakeReranker) -> None:
    long = "x" * 60 + "abcabc"
    assert order(rerank(client, documents=["a", long])) == [0, 1]
    assert max(map(len, reranker.pairs)) == reranker.context_size
    reply = rerank(client, documents=["xxxabc", "abcxxx"], max_tokens_per_doc=3)
    assert order(reply) == [1, 0]
    assert reply["usage"]["total_tokens"] == 2 * len("abc|abc")


def test_what_other_apis_have_is_ignored(client: TestClient) -> None:
    others: dict[str, Any] = {"user": "me", "priority": 0, "max_chunks_per_doc": 10, "raw": 1}
    assert rerank(client, **others)["results"] == rerank(client)["results"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": ["abc"]}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "abc"}, "documents"),
        ({"documents": ["a", 5]}, "documents[1]"),
        ({"documents": ["a", {"title": "b"}]}, "documents[1].text"),
        ({"documents": [{"text": None}]}, "documents[0].text"),
        ({"documents": ["a"] * (MAX_TEXTS + 1)}, "documents"),
        ({"top_n": -1}, "top_n"),
        ({"top_n": "many"}, "top_n"),
        ({"return_documents": "some"}, "return_documents"),
        ({"max_tokens_per_doc": 0}, "max_tokens_per_doc"),
        ({"rank_fields": ["title", "text"]}, "rank_fields"),
        ({"query": "x" * 63}, "query"),
    ],
)
def test_what_is_refused(client: TestClient, fields: Any, param: str) -> None:
    reply = client.post("/v1/rerank", json=body(**fields))
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param


@pytest.mark.parametrize("field", ["query", "documents"])
def test_what_is_required(client: TestClient, field: str) -> None:
    fields = body()
    del fields[field]
    error = client.post("/v1/rerank", json=fields).json()["error"]
    assert error["param"] == field


def test_a_query_that_fills_the_context(client: TestClient, reranker: FakeReranker) -> None:
    reply = client.post("/v1/rerank", json=body(query="x" * 63, documents=[""]))
    assert reply.json()["error"]["code"] == "context_length_exceeded"
    assert "64 tokens" in reply.json()["error"]["message"]
    assert rerank(client, query="x" * 62)
    assert not [pair for pair in reranker.pairs if len(pair) > 64]


def test_without_a_reranker(services: Services) -> None:
    app = create_app(replace(services, rerank=None), load_settings(allowed_hosts=("testserver",)))
    with TestClient(app) as client:
        reply = client.post("/v1/rerank", json=body())
    assert reply.status_code == 400
    assert "start it with --rerank-model BAAI/bge-" in reply.json()["error"]["message"]


def test_leaving_stops_the_work(reranker: FakeReranker, services: Services, url: str) -> None:
    reranker.gate = threading.Semaphore(1)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/rerank", json=body(documents=["a"] * 1000), timeout=LEAVING)
    reranker.gate.release(1000)
    with httpx.Client() as client:
        alone = client.post(f"{url}/v1/rerank", json=body(documents=["bc"]))
    assert alone.status_code == 200
    wait_for(lambda: not services.engine.num_running)
    assert len(reranker.pairs) < 100


def test_scores_of_large_logits_differ() -> None:
    """In single precision, 1 would be the score of all above 17."""
    assert 0 < sigmoid(-700) < sigmoid(-30) < sigmoid(0) == 0.5 < sigmoid(20) < sigmoid(30) < 1
    assert sigmoid(5) == pytest.approx(1 - sigmoid(-5))
    assert (sigmoid(1e30), sigmoid(-1e30)) == (1, 0)
