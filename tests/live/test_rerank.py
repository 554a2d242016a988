"""Reranking on a real server, in the forms that clients of Jina's and Cohere's APIs send."""

import json
import threading
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.paths import DATA
from tests.support.servers import Server
from tests.support.waiting import SECONDS, wait_for

pytestmark = pytest.mark.live

GOLDEN: Any = json.loads((DATA / "rerankers.json").read_text("utf-8"))
QUERY, DOCUMENTS = GOLDEN["query"], GOLDEN["documents"]
SCORES = 1 / (1 + np.exp(-np.array(GOLDEN["logits"][0])))
ORDER = [int(index) for index in np.argsort(-SCORES, kind="stable")]
LEAVING = 0.05  # seconds after which a client gives up

# Bodies as the code of these clients makes them; the documents of a result come first in none.
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "Open WebUI": (
        "/v1/rerank",
        {"model": "reranker", "query": QUERY, "documents": DOCUMENTS, "top_n": len(DOCUMENTS)},
    ),
    "Dify, OpenAI-API-compatible": (
        "/v1/rerank",
        {"model": "bge-reranker", "query": QUERY, "documents": DOCUMENTS, "top_n": 3},
    ),
    "Dify, Jina": (
        "/v1/rerank",
        {
            "model": "jina-reranker-v2-base-multilingual",
            "query": QUERY,
            "documents": [{"text": text} for text in DOCUMENTS],
            "top_n": None,
            "return_documents": False,
        },
    ),
    "LangChain, JinaRerank": (
        "/v1/rerank",
        {"query": QUERY, "documents": DOCUMENTS, "model": "jina-reranker-v1-base-en", "top_n": 3},
    ),
    "Cohere's ClientV2": (
        "/v2/rerank",
        {"model": "rerank-v3.5", "query": QUERY, "documents": DOCUMENTS, "top_n": 2},
    ),
    "Cohere's Client": (
        "/v1/rerank",
        {
            "model": "rerank-v3.5",
            "query": QUERY,
            "documents": [{"text": text} for text in DOCUMENTS],
            "top_n": 4,
            "return_documents": True,
            "max_chunks_per_doc": 10,
        },
    ),
    "LiteLLM, hosted vLLM": (
        "/rerank",
        {"model": "bge", "query": QUERY, "documents": DOCUMENTS, "return_documents": True},
    ),
    "RAGFlow, OpenAI-API-Compatible": (
        "/rerank",
        {"model": "bge", "query": QUERY, "documents": DOCUMENTS, "top_n": len(DOCUMENTS)},
    ),
    "RAGFlow, Xinference": (
        "/v1/rerank",
        {
            "model": "bge",
            "query": QUERY,
            "return_documents": "true",
            "return_len": "true",
            "documents": DOCUMENTS,
        },
    ),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_what_clients_send(rerank_server: Server, name: str) -> None:
    path, body = CLIENTS[name]
    reply = httpx.post(f"{rerank_server.url}{path}", json=body, timeout=SECONDS)
    assert reply.status_code == 200, reply.text
    results = reply.json()["results"]
    assert [result["index"] for result in results] == ORDER[: body.get("top_n")]
    scores = [result["relevance_score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, SCORES[ORDER][: len(results)], rtol=0.05)
    for result in results:
        has_text = body.get("return_documents") is not False
        text = {"text": DOCUMENTS[result["index"]]} if has_text else None
        assert result.get("document") == text
    num_tokens = sum(map(len, GOLDEN["ids"]))
    assert reply.json()["usage"]["total_tokens"] == num_tokens
    assert reply.json()["meta"]["tokens"]["input_tokens"] == num_tokens


def test_the_reranker_is_listed(rerank_server: Server) -> None:
    models = httpx.get(f"{rerank_server.base_url}/models", timeout=SECONDS).json()["data"]
    assert [model["id"] for model in models] == ["glm3-tiny", "bge-reranker-tiny"]
    assert models[1]["context_length"] == 64
    assert "reranks  bge-reranker-tiny, up to 64 tokens per pair" in rerank_server.banner


def test_a_server_without_a_reranker(server: Server) -> None:
    _, body = CLIENTS["Open WebUI"]
    reply = httpx.post(f"{server.base_url}/rerank", json=body, timeout=SECONDS)
    assert reply.status_code == 400
    assert "--rerank-model" in reply.json()["error"]["message"]


def test_chats_go_on_beside_and_leaving_stops_the_work(rerank_server: Server) -> None:
    def chat() -> str:
        body = {"messages": [{"role": "user", "content": "你好"}], "temperature": 0}
        url = f"{rerank_server.base_url}/chat/completions"
        reply = httpx.post(url, json=body, timeout=SECONDS)
        return str(reply.json()["choices"][0]["message"]["content"])

    def rank() -> list[int]:
        body = {"query": QUERY, "documents": DOCUMENTS * 100, "return_documents": False}
        url = f"{rerank_server.base_url}/rerank"
        reply = httpx.post(url, json=body, timeout=SECONDS)
        return [result["index"] % len(DOCUMENTS) for result in reply.json()["results"]]

    alone, found = chat(), []
    thread = threading.Thread(target=lambda: found.extend(rank()))
    thread.start()
    assert chat() == alone
    thread.join()
    assert found[:100] == ORDER[:1] * 100
    body = {"query": QUERY, "documents": DOCUMENTS * 290}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{rerank_server.base_url}/rerank", json=body, timeout=LEAVING)
    assert chat() == alone
    health = f"{rerank_server.url}/health"
    wait_for(lambda: httpx.get(health, timeout=SECONDS).json()["running"] == 0)
